"""The player on a bus: every byte, in order, on time, at any rate; and services that steer it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from broker import Node, codec
from broker.bag.errors import BagError
from broker.bag.layout import origin_of
from broker.bag.lives import Lives, with_incarnation
from broker.bag.pace import Due
from broker.bag.player import PlayerNode
from broker.bag.recorder import RecorderNode
from broker.bag.settings import PlayerSettings, RecorderSettings
from broker.bag.verify import verify
from broker.messages import Clock, LogRecord, Observation
from broker.presence import await_nodes
from tests.broker.bag.bags import (
    START_NS,
    Tap,
    flip,
    frames_of,
    in_thread,
    sample,
    until,
    with_foreign,
    write,
)
from tests.broker.bag.playing import OBSERVED, in_bag, play
from tests.running_broker import running_broker

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(90)]


@pytest.mark.parametrize("rate", [1.0, 10.0, None])
def test_every_message_is_played_byte_by_byte_in_order(address: str, path: Path, rate: float | None) -> None:
    with Tap("tap", address) as tap:
        start = time.perf_counter()
        play(address, path, tap.node, rate=rate)
        took = time.perf_counter() - start
        until(tap.node, lambda: len(tap.of(*OBSERVED)) >= 400)
        assert tap.of(*OBSERVED) == in_bag(path, *OBSERVED)
        assert tap.of("/latched") == in_bag(path, "/latched")
        if rate is not None:
            assert took >= 0.8 / rate


def test_messages_leave_when_they_are_due(tmp_path: Path) -> None:
    path = sample(tmp_path / "b.mcap", count=800, period_ns=1_000_000)
    with Node("player", f"memory://{tmp_path.name}") as node:
        player = PlayerNode(node, PlayerSettings(str(path), topics=OBSERVED))
        player.late_ns = []
        player.run()
    # How late they are is the machine's doing; benchmarks/bag_timing.py has figures. It must not grow.
    assert min(player.late_ns) >= 0
    assert min(player.late_ns[-50:]) < 10_000_000


def test_as_fast_as_possible_loses_nothing_to_a_recorder(tmp_path: Path) -> None:
    messages = [(frames_of("/t", Clock(1, i, 0.0), i), START_NS + i) for i in range(30_000)]
    path = write(tmp_path / "b.mcap", messages, flush_every=5000)
    with (
        running_broker(tmp_path) as address,
        Node("recorder", address) as node,
        Node("watch", address) as watch,
    ):
        watch.ready(20.0)
        recording = RecorderNode(node, RecorderSettings(str(tmp_path / "again"), topics=("/t",)))
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(watch, ["recorder"]) == []
            play(address, path, rate=None)
        assert results == [0]
    assert verify(tmp_path / "again").whole
    assert in_bag(tmp_path / "again") == in_bag(path)


def test_latched_topics_come_first_whatever_the_offset(address: str, path: Path) -> None:
    with Tap("tap", address) as tap:
        play(address, path, tap.node, rate=None, start_offset_s=0.5)
        until(tap.node, lambda: len(tap.of(*OBSERVED)) >= 151)
        played = tap.of("/latched", *OBSERVED)
        assert played[0] == in_bag(path, "/latched")[0]
        assert played[1:] == in_bag(path, *OBSERVED)[249:]


def test_a_duration_ends_it(address: str, path: Path) -> None:
    assert play(address, path, rate=None, start_offset_s=0.1, duration_s=0.2).played == 1 + 101


def test_topics_can_be_chosen_and_renamed(address: str, path: Path) -> None:
    remap = {"/grid/observation/a": "/sim/a"}
    with Tap("tap", address) as tap:
        play(address, path, tap.node, rate=None, topics=("/grid/observation/a",), remap=remap)
        until(tap.node, lambda: len(tap.of("/sim/a")) >= 200)
        assert [f[1:] for f in tap.of("/sim/a")] == [f[1:] for f in in_bag(path, "/grid/observation/a")]
        assert not tap.of("/grid/observation/a", "/grid/observation/b", "/latched")


def test_a_loop_plays_again_to_subscribers_that_drop_what_they_have_seen(address: str, path: Path) -> None:
    with Node("player", address) as node, Node("agent", address) as agent:
        subscription = agent.subscription("/grid/observation/a", Observation)
        agent.ready(20.0)
        player = PlayerNode(node, PlayerSettings(str(path), rate=None, loop=True))
        ticks: list[int] = []

        def twice() -> bool:
            while (received := subscription.take()) is not None:
                ticks.append(received.message.tick)
            return len(ticks) > 400

        with in_thread(player.run, player.stop):
            until(agent, twice)
    assert ticks[:201] == [*range(0, 400, 2), 0]
    assert agent.counters.lost == 0


def test_a_bag_reaches_the_same_subscribers_each_time_it_is_played(address: str, path: Path) -> None:
    with Node("agent", address) as agent:
        subscription = agent.subscription("/grid/observation/a", Observation)
        agent.ready(20.0)
        ticks: list[int] = []

        def played(count: int) -> bool:
            while (received := subscription.take()) is not None:
                ticks.append(received.message.tick)
            return len(ticks) >= count

        for times in (1, 2):
            play(address, path, agent, rate=None, as_recorded=False)
            until(agent, lambda: played(200 * times))  # noqa: B023 - called at once
    assert ticks == 2 * list(range(0, 400, 2))
    assert agent.counters.lost == 0


def test_a_bag_that_is_played_to_a_recorder_twice_is_in_its_bag_twice(tmp_path: Path, path: Path) -> None:
    address = f"memory://{tmp_path.name}"
    with Node("recorder", address) as node, Node("watch", address) as watch:
        watch.ready(20.0)
        recording = RecorderNode(node, RecorderSettings(str(tmp_path / "again"), regex="/grid/.*"))
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(watch, ["recorder"]) == []
            for _ in range(2):
                play(address, path, rate=None, as_recorded=False)
        assert results == [0]
    assert verify(tmp_path / "again").whole
    again, before = in_bag(tmp_path / "again"), in_bag(path, *OBSERVED)
    assert len(again) == 800
    for frames, then in zip(again, 2 * before, strict=True):
        assert with_incarnation(frames[1], 1) == then[1]  # all but the life is as it was
        assert [frames[0], *frames[2:]] == [then[0], *then[2:]]


def test_each_life_of_a_sender_is_another_when_it_is_played() -> None:
    lives, later = Lives(), Lives()
    headers = [
        codec.encode("/t", Clock(1, 0, 0.0), sender=sender, incarnation=life, seq=7)[1]
        for sender, life in (("a", 5), ("a", 2**63), ("b", 5))
    ]
    found = [[origin_of(each.renewed(header)) for header in headers] for each in (lives, later, lives)]
    assert found[0] == found[2]
    numbers = [origin.incarnation for origins in found[:2] for origin in origins if origin]
    assert len(set(numbers)) == 6
    assert [origin._replace(incarnation=0) for origin in found[0] if origin] == [
        origin._replace(incarnation=0) for header in headers if (origin := origin_of(header))
    ]
    for none in (b"", b"no header", b"\x99", b"\x93\xa1t\xa1h\x05"):
        assert lives.renewed(none) == none


def test_log_lines_are_played_like_everything_else(address: str, tmp_path: Path) -> None:
    lines = [(frames_of("/log", LogRecord("info", str(i)), i), START_NS + i) for i in range(3)]
    path = write(tmp_path / "log.mcap", lines)
    with Tap("tap", address) as tap:
        play(address, path, tap.node, rate=None)
        until(tap.node, lambda: len(tap.of("/log")) == 3)
        assert tap.of("/log") == [frames for frames, _ in lines]


def test_damage_is_refused_or_skipped_and_counted(address: str, path: Path) -> None:
    place = flip(path, 4)
    with pytest.raises(BagError, match=rf"chunk at byte {place}: .*look with `chorus bag verify`"):
        play(address, path, rate=None)
    player = play(address, path, rate=None, skip_damaged=True)
    assert player.played == 401 - 50
    assert player.bag.skipped == 1


def test_damage_before_the_start_is_skipped_too(address: str, path: Path) -> None:
    place = flip(path, 0)  # the latched value is in it
    with pytest.raises(BagError, match=rf"chunk at byte {place}"):
        play(address, path, rate=None, start_offset_s=0.4)
    player = play(address, path, rate=None, start_offset_s=0.4, skip_damaged=True)
    assert player.played == 201
    assert player.bag.skipped == 1


def test_what_is_no_message_is_refused_or_skipped_and_counted(address: str, tmp_path: Path) -> None:
    path = with_foreign(tmp_path / "b.mcap")
    with pytest.raises(BagError, match=r"topic /t: .* no message of the bus; --skip-damaged goes on"):
        play(address, path, rate=None)
    player = play(address, path, rate=None, skip_damaged=True)
    assert (player.played, player.skipped) == (2, 1)


def test_what_cannot_be_played_is_refused_before_anything_is_sent(tmp_path: Path, path: Path) -> None:
    empty = write(tmp_path / "empty.mcap", [])
    other = tmp_path / "other.mcap"
    frames = frames_of("/t", Clock(1, 0, 0.0), 0)
    digest = codec.schema_of(Clock).hash.encode()
    write(other, [([frames[0], frames[1].replace(digest, b"0" * 16)], START_NS)])
    for bag, settings, complaint in (
        (path, {"topics": ("/nowhere",)}, "there is no topic /nowhere in it; it has /grid/observation/a"),
        (path, {"remap": {"/x": "/y"}}, "there is no topic /x in it"),
        (empty, {}, "is empty: there is no message in it"),
        (other, {}, "/t is a Clock of schema 0000000000000000, this version of gridchorus has"),
        (path, {"rate": 0.0}, "rate is 0.0, expected a positive number"),
        (path, {"rate": float("inf")}, "rate is inf, .* or none for as fast as possible"),
        (path, {"rate": float("nan")}, "rate is nan, expected a positive number"),
        (path, {"duration_s": float("inf")}, "duration_s is inf, expected a positive number"),
        (path, {"start_offset_s": -1.0}, "start_offset_s is -1.0, expected 0 or more"),
    ):
        with Node("player", "memory://refused") as node, pytest.raises(BagError, match=complaint):
            PlayerNode(node, PlayerSettings(str(bag), **settings))  # type: ignore[arg-type]


def test_a_late_latched_value_and_a_clock_that_is_out_are_played_at_their_receive_stamps() -> None:
    from broker.bag.recorded import Recorded

    def message(receive_ns: int, publish_ns: int) -> Recorded:
        return Recorded("/t", "Clock", "", False, "gridchorus", 0, receive_ns, publish_ns, b"")

    due = Due(START_NS)
    ms = 1_000_000
    assert due.of(message(START_NS + 5 * ms, START_NS + 4 * ms)) == START_NS + 4 * ms
    assert due.of(message(START_NS + 6 * ms, START_NS - 3000 * ms)) == START_NS + 6 * ms
    assert due.of(message(START_NS + 7 * ms, START_NS + 5 * ms)) == START_NS + 6 * ms  # never backwards
    assert due.of(message(START_NS + 8 * ms, START_NS + 900 * ms)) == START_NS + 8 * ms
