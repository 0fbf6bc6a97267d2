"""`chorus doctor` and `chorus top`: sound of a running ensemble, and right about what is wrong with it."""

from __future__ import annotations

import json
import re
import socket

import pytest

from broker.messages import ControlReply
from broker.registry import LEASE_S
from broker.schema import VOCABULARY
from broker.version import VERSION
from launch.introspection import checks
from launch.introspection.checks import Verdict
from launch.introspection.samples import HEADINGS, Samples
from launch.introspection.top import plain_table

pytestmark = pytest.mark.timeout(60)


def record(**changes):
    status = {"state": "running", "tick": 5, "received": 9, "sent": 9, "lost": 0, "refused": 0, "note": ""}
    vitals = {
        "stamp_s": 1.0,
        "cpu_s": 1.0,
        "rss_bytes": 2e8,
        "lag_s": 0.002,
        "tick": 0,
        "unsent": 0,
        "overrun": 0,
    }
    whole = {
        "host": "h",
        "pid": 1,
        "version": VERSION,
        "renewed_s_ago": 0.5,
        "status": status,
        "vitals": vitals,
    }
    for name, value in changes.items():
        next(part for part in (status, vitals, whole) if name in part or part is whole)[name] = value
    return whole


def clock(offset_s, error_s=0.0001):
    found = record()
    found["vitals"] |= {"clock_offset_s": offset_s, "clock_error_s": error_s}
    return found


ABOUT = {"version": VERSION, "vocabulary": VOCABULARY}


def test_a_healthy_ensemble_passes_all_checks(run):
    done = run("doctor")
    assert done.exit_code == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:8]] == [
        "broker", "ports", "versions", "nodes", "ticks", "leases", "messages", "clocks"
    ]  # fmt: skip
    assert all(line.startswith("ok ") for line in lines[:8]), done.stdout
    assert lines[-1] == "All 8 checks passed"
    assert "0 lost, 0 refused" in done.stdout


def test_without_a_broker_the_doctor_says_which_ports_are_closed(run_at):
    with socket.socket() as letters:
        letters.bind(("127.0.0.1", 0))
        letters.listen()
        port = letters.getsockname()[1]
        done = run_at(f"tcp://127.0.0.1:{port}")("doctor")
    assert done.exit_code == 1
    assert done.stdout.startswith(
        f"FAIL  broker    no broker answers at tcp://127.0.0.1:{port}: start one with"
    )
    assert f"FAIL  ports     tcp://127.0.0.1:{port + 1}, tcp://127.0.0.1:{port + 2}: nobody" in done.stdout
    assert done.stdout.endswith("2 of 2 checks failed, 0 with a warning\n")


def test_another_version_is_a_warning_and_other_message_types_a_failure():
    assert checks.versions(ABOUT, {"a": record()}).verdict is Verdict.OK
    finding = checks.versions(ABOUT, {"a": record(), "b": record(version="0.0.9")})
    assert finding.verdict is Verdict.WARNING
    assert "but b 0.0.9" in finding.text
    finding = checks.versions({**ABOUT, "vocabulary": "0123"}, {})
    assert finding.verdict is Verdict.FAILED
    assert "run the same version of gridchorus on both" in finding.text


def test_a_node_that_failed_is_a_failure_and_none_at_all_a_warning():
    assert checks.states({"a": record(), "b": record(state="failed")}).text.startswith("b: failed")
    assert checks.states({"a": record(state="failed")}).verdict is Verdict.FAILED
    assert checks.states({}).verdict is Verdict.WARNING


@pytest.mark.parametrize(("waited_s", "paused", "verdict"), [
    (60.0, False, Verdict.WARNING), (2.0, False, Verdict.OK), (60.0, True, Verdict.OK)
])  # fmt: skip
def test_a_tick_that_waits_for_long_is_a_warning_with_whom_it_waits_for(waited_s, paused, verdict):
    detail = json.dumps({"left": [], "missing": ["north"], "waited_s": waited_s})
    finding = checks.ticks(ControlReply(2, 7, paused, detail))
    assert finding.verdict is verdict
    assert finding.text.startswith("tick 7 of epoch 2")
    assert ("has waited 60 s for north" in finding.text) == (verdict is Verdict.WARNING)


@pytest.mark.parametrize("detail", ["", "well", "[]", '{"missing": ["north"]}'])
def test_a_simulator_that_says_other_things_is_no_reason_for_a_warning(detail):
    assert checks.ticks(ControlReply(1, 3, paused=False, detail=detail)).verdict is Verdict.OK


def test_a_node_that_is_silent_is_named():
    finding = checks.leases({"a": record(), "b": record(renewed_s_ago=LEASE_S - 1)})
    assert finding.verdict is Verdict.WARNING
    assert "b 9.0 s" in finding.text


@pytest.mark.parametrize("kind", ["lost", "refused", "unsent", "overrun"])
def test_each_kind_of_loss_is_named_with_its_node(kind):
    finding = checks.losses({"a": record(), "b": record(**{kind: 3})})
    assert finding.verdict is Verdict.WARNING
    assert finding.text.startswith(f"b 3 {kind}")


def test_clocks_that_differ_surely_are_a_warning():
    finding = checks.clocks({"a": clock(0.2), "b": clock(-0.1), "c": clock(0.0)}, (0.0, 0.0001))
    assert finding.verdict is Verdict.WARNING
    assert finding.text.startswith("a and b are 300.0 ms apart (+- 0.2 ms)")
    assert checks.clocks({"a": clock(0.2, error_s=0.3)}, (0.0, 0.0001)).verdict is Verdict.OK
    assert checks.clocks({}, (0.001, 0.0005)).verdict is Verdict.OK


def test_top_once_shows_every_node_with_its_rates(run):
    lines = run("top", "--once").stdout.splitlines()
    assert tuple(lines[0].split()) == HEADINGS
    assert [line.split()[0] for line in lines[1:]] == ["block_0", "block_1", "simulator"]
    for line in lines[1:]:
        assert re.search(r" (running|ready) +\d+ +\d+\.\d/s +\d+\.\d ms +0 +\d+% +\d+ MB  ", line), line


def test_top_goes_on_for_as_many_tables_as_asked(run):
    assert run("top", "-n", "2", "-d", "0.2").stdout.count("NODE") == 2


def test_rates_come_from_two_heartbeats():
    samples = Samples()
    samples.add({"a": record()})
    assert samples.row("a", record())[3] == ""
    later = {"a": record(stamp_s=3.0, cpu_s=2.0, tick=25, renewed_s_ago=0.1)}
    assert not samples.complete(later)
    samples.add(later)
    samples.add(later)  # the same heartbeat again changes nothing
    assert samples.complete(later)
    assert samples.row("a", later["a"]) == (
        "a", "running", "25", "10.0/s", "2.0 ms", "0", "50%", "200 MB", "h"
    )  # fmt: skip


def test_a_restarted_node_starts_counting_again_and_a_gone_one_is_forgotten():
    samples = Samples()
    for nodes in ({"a": record()}, {"a": record(stamp_s=3.0, tick=25)}, {"a": record(pid=2, stamp_s=0.1)}):
        samples.add(nodes)
    assert not samples.complete({"a": record()})
    samples.add({})
    assert plain_table(samples, {}).split() == [*HEADINGS]


def test_a_silent_node_shows_for_how_long():
    assert Samples().row("a", record(renewed_s_ago=7.2))[1] == "silent 7 s"
