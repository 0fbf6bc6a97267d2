"""A player goes by its orders, and by the clock that it shows or follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker import Node, codec
from broker.bag.pace import Pace
from broker.bag.player import PlayerNode
from broker.bag.settings import PlayerSettings
from broker.errors import ServiceError
from broker.messages import Clock, Observation
from broker.presence import await_nodes
from tests.broker.bag.bags import (
    Tap,
    in_thread,
    until,
)
from tests.broker.bag.playing import OBSERVED, commands, play
from tests.simulation import wait_for

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(90)]


def test_pause_step_rate_and_seek_steer_it(address: str, path: Path) -> None:
    with Tap("tap", address) as tap, Node("player", address) as node:
        player = PlayerNode(node, PlayerSettings(str(path), paused=True))
        call = commands(tap)
        with in_thread(player.run, player.stop) as results:
            assert await_nodes(tap.node, ["player"]) == []
            assert call("status").paused
            call("step", n=5)
            until(tap.node, lambda: len(tap.of("/latched", *OBSERVED)) == 5)
            call("seek", time_s=0.6)
            until(tap.node, lambda: len(tap.of("/latched")) == 2)  # first again, also in a pause
            call("step", n=1)
            until(tap.node, lambda: len(tap.of(*OBSERVED)) == 5)
            assert codec.decode(tap.of(*OBSERVED)[-1], Observation).message.tick == 299
            assert not call("rate", rate=5.0).detail.count('"rate": 1.0')
            assert not call("resume").paused
            until(tap.node, lambda: len(tap.of(*OBSERVED)) == 4 + 101)
        assert results == [0]


def test_bag_time_goes_on_when_it_is_resumed_without_a_pause() -> None:
    pace = Pace(1000.0, paused=False)
    while (before := pace.now_ns) < 10_000_000:
        pass
    pace.resume()
    assert pace.now_ns >= before
    pace.pause()
    stood = pace.now_ns
    pace.resume()
    assert pace.now_ns >= stood


def test_commands_that_cannot_be_are_refused_and_it_goes_on(address: str, path: Path) -> None:
    with Tap("tap", address) as tap, Node("player", address) as node:
        player = PlayerNode(node, PlayerSettings(str(path), paused=True))
        with in_thread(player.run, player.stop):
            assert await_nodes(tap.node, ["player"]) == []
            for command, arguments, complaint in (
                ("jump", {}, "expected pause, resume, step"),
                ("rate", {"rate": -1}, "rate is -1, expected a positive number"),
                ("rate", {"rate": float("inf")}, "rate is inf, .* or max for as fast as possible"),
                ("rate", {"rate": float("nan")}, "rate is nan, expected a positive number"),
                ("rate", {"rate": 10**400}, r"expected a positive number up to 1e\+09"),
                ("step", {"n": 1.5}, r"n is 1\.5, expected a positive integer"),
                ("step", {"n": 0}, "n is 0, expected a positive integer"),
                ("step", {"n": True}, "n is True, expected a positive integer"),
                ("seek", {"time_s": 99}, r"the bag has 0\.800 s"),
                ("seek", {}, r"cannot seek to time_s=None, expected seconds"),
            ):
                with pytest.raises(ServiceError, match=complaint):
                    commands(tap)(command, **arguments)
            assert commands(tap)("status").paused
            assert player.played == 0


def test_it_publishes_the_clock_where_the_bag_has_none(address: str, path: Path) -> None:
    with Node("agent", address) as agent:
        clock = agent.subscription("/clock", Clock)
        agent.ready(20.0)
        play(address, path, clock_hz=50.0)
        times: list[float] = []

        def several() -> bool:
            while (received := clock.take()) is not None:
                times.append(received.message.time_s)
            return len(times) >= 10

        until(agent, several)
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 0.9


def test_its_clock_does_not_overtake_messages_that_are_late(path: Path) -> None:
    with Node("player", f"memory://{path.parent.name}") as node, Node("agent", node.address) as agent:
        clock = agent.subscription("/clock", Clock)
        player = PlayerNode(node, PlayerSettings(str(path), clock_hz=50.0))
        player.pace.go_to(player.start_ns + 700_000_000)
        assert player.wait_until(player.start_ns + 100_000_000)
        assert wait_for(agent, clock.take).message.time_s == pytest.approx(0.1)


def test_it_follows_the_clock_of_another_node(address: str, path: Path) -> None:
    with Tap("tap", address) as tap, Node("player", address) as node:
        publisher = tap.node.publisher("/clock", Clock)
        tap.node.ready(20.0)
        player = PlayerNode(node, PlayerSettings(str(path), follow_clock=True))
        with in_thread(player.run, player.stop):
            assert await_nodes(tap.node, ["player"]) == []
            for time_s, expected in ((0.1, 50), (0.4, 200)):
                publisher.publish(Clock(0, 0, time_s))
                until(tap.node, lambda: len(tap.of(*OBSERVED)) >= expected)  # noqa: B023 - called at once
                tap.node.spin(0.1)
                assert len(tap.of(*OBSERVED)) == expected
