"""By the clock, ticks come when they are due, and who is late is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from simulator import metronome
from simulator.errors import OptionError
from simulator.frame import Verdict
from simulator.settings import SimulatorSettings
from tests.simulation import Simulation, counter_world

pytestmark = pytest.mark.timeout(60)


class Clock:
    """The simulator's time, which goes on only when a test says so."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic(self) -> float:
        return self._now_s

    def reach(self, now_s: float, simulation: Simulation) -> None:
        """Let it be `now_s`, and the simulator look at its clock."""
        self._now_s = now_s
        simulation.simulator.node._transport.wake()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stand in for the real time of simulator nodes."""
    clock = Clock()
    monkeypatch.setattr(metronome, "time", clock)
    return clock


def test_by_the_clock_the_fallback_acts_for_the_silent_and_the_verdict_says_so():
    with Simulation(counter_world(), "left", "right", mode="realtime", period_s=0.05) as simulation:
        left = simulation.hands["left"]
        verdicts = {}
        while Verdict.APPLIED not in verdicts.values():  # a busy machine may be too late once
            left.act(left.look().tick, 1)
            applied = simulation.applied()
            assert applied.verdicts[:, 1].tolist() == [Verdict.LATE] * 3
            assert applied.actions[:, 1].tolist() == [0, 0, 0]
            verdicts[applied.tick] = applied.verdicts[0, 0]
            expected = 1 if verdicts[applied.tick] == Verdict.APPLIED else 0
            assert applied.actions[0, 0] == expected


@pytest.mark.parametrize(("lifespan", "verdict"), [(2, Verdict.LATE), (3, Verdict.APPLIED)])
def test_by_the_clock_an_action_as_old_as_its_lifespan_counts_as_missing(clock, lifespan, verdict):
    settings = {"mode": "realtime", "period_s": 10.0, "lifespan_ticks": lifespan, "max_ticks": 3}
    with Simulation(counter_world(), "left", "right", **settings) as simulation:
        left = simulation.hands["left"]
        for tick in range(3):
            left.await_tick(tick)
            if tick == 2:
                left.act(0, 1)  # two ticks old
            clock.reach(10.0 * (tick + 1), simulation)
        seen = [simulation.applied() for _ in range(3)]
        assert simulation.simulator.end() == 0
    assert [a.verdicts[0, 0] for a in seen] == [Verdict.LATE, Verdict.LATE, verdict]
    assert seen[2].actions[0, 0] == (verdict == Verdict.APPLIED)


def test_by_the_clock_an_action_of_another_epoch_or_of_the_future_counts_as_missing(clock):
    settings = {"mode": "realtime", "period_s": 10.0, "lifespan_ticks": 5, "max_ticks": 2}
    with Simulation(counter_world(), "left", "right", **settings) as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        left.act(0, 1, epoch=9), left.act(3, 1), left.act(1, 1)
        clock.reach(10.0, simulation)
        left.await_tick(1)
        clock.reach(20.0, simulation)
        assert [simulation.applied().verdicts[0, 0] for _ in range(2)] == [Verdict.LATE] * 2


def test_the_clock_neither_drifts_nor_hurries_and_its_rate_can_change(clock):
    with Simulation(counter_world(), "left", "right", mode="realtime", period_s=10.0) as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        clock.reach(14.0, simulation)
        left.await_tick(1)  # 4 s late
        clock.reach(19.9, simulation)
        assert left.hears_nothing()
        clock.reach(20.0, simulation)
        left.await_tick(2)  # in time all the same
        clock.reach(75.0, simulation)
        left.await_tick(3)
        assert left.hears_nothing()  # what was due at 40 to 70 s is not caught up on
        clock.reach(85.0, simulation)
        left.await_tick(4)
        simulation.order("rate", rate=0.5)  # the grid's tick is 2 s, so 4 s of wall time
        clock.reach(88.9, simulation)
        assert left.hears_nothing()
        clock.reach(89.0, simulation)
        left.await_tick(5)


@pytest.mark.parametrize("period_s", [0.0, -1.0, np.nan, np.inf, 1e5])
def test_a_tick_takes_some_time_and_at_most_a_day(period_s):
    with pytest.raises(OptionError, match=f"period_s is {period_s!r}, expected a positive number of seconds"):
        SimulatorSettings(mode="realtime", period_s=period_s)
    assert SimulatorSettings(mode="realtime", period_s=86_400.0).period_s == 86_400.0


def test_by_the_clock_a_reset_and_a_stop_do_not_wait_for_the_tick():
    with Simulation(counter_world(), "left", "right", mode="realtime", period_s=1000.0) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.order("reset")
        simulation.hands["left"].await_tick(0, epoch=2)
        simulation.order("stop")
        assert simulation.simulator.end() == 0


def test_by_the_clock_an_agent_that_came_back_keeps_the_run_going():
    settings = {"mode": "realtime", "period_s": 0.05, "lifespan_ticks": 1000}
    with Simulation(counter_world(), "left", "right", **settings) as simulation:
        left, right = simulation.hands.values()
        left.leave(), left.look(), left.look()
        left.act(left.look().tick)
        simulation.applied()
        right.look(), right.leave()
        while "right" not in json.loads(simulation.order("status").detail)["left"]:
            pass
        assert json.loads(simulation.order("status").detail)["left"] == ["right"]
        left.leave()
        assert simulation.simulator.end() == 0
