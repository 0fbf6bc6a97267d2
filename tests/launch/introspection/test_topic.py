"""`chorus topic list`, `info` and `pub` on a running ensemble."""

from __future__ import annotations

import threading

import pytest

from broker import Node
from broker.messages import Action, Clock

pytestmark = pytest.mark.timeout(60)


def test_the_topics_of_the_ensemble_are_listed(run):
    lines = run("topic", "list").stdout.splitlines()
    assert lines == sorted(lines)
    assert {"/clock", "/grid/state", "/agents/block_0/action", "/nodes/simulator/status"} <= set(lines)
    assert run("topic", "list", "-c").stdout == f"{len(lines)}\n"


def test_types_stand_in_brackets(run):
    assert "/agents/block_1/action [Action]" in run("topic", "list", "-t").stdout.splitlines()


def test_a_verbose_list_counts_both_ends(run):
    published, subscribed = run("topic", "list", "-v").stdout.split("\n\n")[:2]
    assert published.startswith("Published topics:\n * /agents/block_0/action [Action] 1 publisher\n")
    assert subscribed.startswith("Subscribed topics:\n * /agents/block_0/action [Action] 1 subscriber\n")
    assert " * /grid/description [GridDescription] 3 subscribers" in subscribed


def test_looking_leaves_no_trace_in_the_registry(run):
    before = run("node", "list").stdout, run("topic", "list", "-v").stdout
    assert run("topic", "echo", "/clock", "--once").exit_code == 0
    assert (run("node", "list").stdout, run("topic", "list", "-v").stdout) == before
    assert "cli-" not in before[1]


def test_info_shows_type_and_ends(run):
    assert run("topic", "info", "/clock").stdout == (
        "Type: Clock\nLatched: no\nPublisher count: 1\nSubscription count: 0\n"
    )
    verbose = run("topic", "info", "-v", "/agents/block_0/action").stdout
    assert "Subscription count: 1\n\nNode name: simulator\nProcess: " in verbose
    assert "Endpoint type: PUBLISHER" in verbose


@pytest.mark.parametrize("verb", ["info", "echo", "hz", "bw", "delay"])
def test_an_unknown_topic_is_an_error_that_names_the_nearest(run, verb):
    done = run("topic", verb, "/grid/stat")
    assert done.exit_code == 2
    assert done.stderr == "topic /grid/stat: there is none on this bus; did you mean /grid/state?\n"


def test_pub_sends_what_is_written(ensemble, run):
    with Node("listener", ensemble) as node:
        clock = node.subscription("/test/clock", Clock)
        action = node.subscription("/test/action", Action)
        node.ready(20.0)
        values = "{epoch: 1, tick: 2, time_s: 3}"
        done = run("topic", "pub", "-t", "3", "-r", "200", "-w", "1", "/test/clock", "Clock", values)
        assert done.exit_code == 0, done.stderr
        assert "publishing #3: Clock(epoch=1, tick=2, time_s=3.0)" in done.stdout
        values = '{"epoch": 1, "tick": 2, "action": {"dtype": "<f4", "data": [[0.5], [1]]}}'
        assert run("topic", "pub", "-1", "/test/action", "Action", values).exit_code == 0
        received = []
        while not (len(received) == 3 and len(action)):
            assert node.spin(20.0), "nothing came"
            received += [r.message for r in iter(clock.take, None)]
        assert received == [Clock(1, 2, 3.0)] * 3
        assert action.take().message.action.tolist() == [[0.5], [1.0]]


def test_pub_waits_for_subscribers(ensemble, run):
    results = []
    words = ("topic", "pub", "-1", "-w", "1", "/test/late", "Clock", "{epoch: 1, tick: 2, time_s: 3}")
    thread = threading.Thread(target=lambda: results.append(run(*words)))
    with Node("late", ensemble) as node:
        thread.start()
        clock = node.subscription("/test/late", Clock)
        node.ready(20.0)
        while (received := clock.take()) is None:
            assert node.spin(20.0), "nothing came"
        thread.join(20)
    assert received.message.tick == 2
    assert results[0].exit_code == 0


@pytest.mark.parametrize(
    ("kind", "values", "complaint"),
    [
        ("Clok", "{}", "message type Clok: there is none of that name; did you mean Clock?"),
        ("Clock", "{epoch: 1, tik: 3}", "Clock.tik: there is no such field; did you mean tick?"),
        ("Clock", "{epoch: 1}", "Clock: got no tick, time_s; its fields are epoch, tick, time_s"),
        ("Clock", "{epoch: 1, tick: x, time_s: 0}", "Clock.tick: got 'x' (str), expected int"),
        ("Clock", "{epoch: 1, tick: true, time_s: 0}", "Clock.tick: got True (bool), expected int"),
        ("Clock", "[1, 2]", "Clock: got [1, 2], expected a mapping such as '{tick: 3}'"),
        ("Clock", "{epoch: 1", "Clock: '{epoch: 1' is neither YAML nor JSON"),
        (
            "Action",
            "{epoch: 1, tick: 1, action: [[1, 2], [3]]}",
            "Action.action: got [[1, 2], [3]], expected",
        ),
        ("Action", "{epoch: 1, tick: 1, action: {dtype: f16, data: [1]}}", "Action.action: got dtype 'f16'"),
    ],
)
def test_a_message_that_cannot_be_names_its_field(run, kind, values, complaint):
    done = run("topic", "pub", "-1", "/test/clock", kind, values)
    assert done.exit_code == 2
    assert done.stderr.startswith(complaint)
    assert done.stdout == ""


def test_a_type_that_is_not_the_topics_is_refused(run):
    done = run("topic", "pub", "-1", "/clock", "Action", "{epoch: 1, tick: 1, action: [1]}")
    assert (done.exit_code, done.stderr) == (2, "topic /clock: carries Clock, not Action\n")
