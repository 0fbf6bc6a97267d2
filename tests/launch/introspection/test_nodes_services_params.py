"""`chorus node`, `service` and `param` on a running ensemble."""

from __future__ import annotations

import re

import pytest
import yaml

pytestmark = pytest.mark.timeout(60)


def test_the_nodes_are_listed(run):
    assert run("node", "list").stdout == "block_0\nblock_1\nsimulator\n"
    assert run("node", "list", "-c").stdout == "3\n"


def test_info_shows_ends_counters_and_lease(run):
    text = run("node", "info", "simulator").stdout
    assert text.startswith("simulator\n  Process: ")
    assert re.search(r"Lease: renewed \d\.\d s ago, runs out after 10 s", text)
    assert re.search(r"State: running, tick \d+", text)
    assert re.search(r"Messages: sent \d+, received \d+, lost 0, refused 0, unsent 0, overrun 0", text)
    assert "  Subscribers:\n    /grid/description: GridDescription\n" in text
    assert "    /clock: Clock\n" in text.partition("  Publishers:\n")[2]
    assert (
        "    /simulator/control: ControlRequest -> ControlReply\n" in text.partition("Service Servers:\n")[2]
    )


def test_an_unknown_node_is_an_error(run):
    done = run("node", "info", "simulater")
    assert (done.exit_code, done.stderr) == (
        2, "node simulater: there is none on this bus; did you mean simulator?\n"
    )  # fmt: skip


def test_services_and_their_types(run):
    lines = run("service", "list").stdout.splitlines()
    assert lines == sorted(lines)
    assert {"/broker/nodes", "/simulator/control", "/block_0/parameters"} <= set(lines)
    assert run("service", "list", "-c").stdout == f"{len(lines)}\n"
    assert "/simulator/history [HistoryRequest -> GridState]" in run("service", "list", "-t").stdout
    assert run("service", "type", "/simulator/control").stdout == "ControlRequest -> ControlReply\n"


def test_a_call_prints_request_and_response(run):
    done = run("service", "call", "/simulator/control", "ControlRequest", "{command: status}")
    head, _, answer = done.stdout.partition("response: ControlReply\n")
    assert head == "requester: making request: ControlRequest(command='status', arguments='{}')\n\n"
    reply = yaml.safe_load(answer)
    assert reply["epoch"] == 1
    assert reply["paused"] is False


def test_a_request_may_be_empty(run):
    assert '"simulator"' in run("service", "call", "/broker/nodes").stdout


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("/simulator/contro",), 2, "service /simulator/contro: there is none on this bus; did you mean "),
        (("/simulator/control", "{comand: status}"), 2, "ControlRequest.comand: there is no such field"),
        (
            ("/simulator/control", "Clock", "{}"),
            2,
            "service /simulator/control: takes ControlRequest, not Clock",
        ),
        (
            ("/simulator/control", "command:", "status"),
            2,
            "expected one YAML or JSON mapping; put it in quotes",
        ),
        (("/simulator/control", "{command: dance}"), 1, "'dance', expected one of pause, resume, "),
    ],
)
def test_a_call_that_cannot_be_says_why(run, words, code, complaint):
    done = run("service", "call", *words)
    assert done.exit_code == code
    assert complaint in done.stderr


def test_parameters_are_listed_for_one_node_or_all(run):
    assert run("param", "list", "block_0").stdout == "  label\n  rate\n"
    assert run("param", "list", "block_0", "--param-type").stdout == (
        "  label (type: string)\n  rate (type: double)\n"
    )
    assert run("param", "list").stdout.startswith("block_0:\n  label\n  rate\nblock_1:\n")


def test_a_parameter_is_set_and_read_again(run):
    assert run("param", "get", "block_0", "label").stdout == "String value is: slow\n"
    for text, value in (("1e-3", "0.001"), ("2", "2.0"), ("0.5", "0.5")):
        assert run("param", "set", "block_0", "rate", text).stdout == "Set parameter successful\n"
        assert run("param", "get", "block_0", "rate").stdout == f"Double value is: {value}\n"
    assert run("param", "get", "block_0", "rate", "--hide-type").stdout == "0.5\n"
    assert yaml.safe_load(run("param", "dump", "block_0").stdout) == {
        "block_0": {"parameters": {"label": "slow", "rate": 0.5}}
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("get", "block_0", "rat"),
            "parameter of block_0 rat: there is none on this bus; did you mean rate?",
        ),
        (("get", "block_7", "rate"), "node block_7: there is none on this bus; did you mean block_1?"),
        (("set", "block_0", "rate", "fast"), "value 'fast': expected one like 0.5"),
        (("set", "block_0", "rate", "true"), "Setting parameter failed: MessageError: parameter rate"),
        (("set", "block_0", "rate", "-1"), "Setting parameter failed: ValueError: rate is -1.0, expected at"),
    ],
)
def test_a_parameter_that_cannot_be_is_an_error(run, words, complaint):
    done = run("param", *words)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert run("param", "get", "block_0", "rate", "--hide-type").stdout == "0.5\n"
