"""Orders to a running simulator are obeyed, or refused with a reason."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from broker.errors import ServiceError
from broker.messages import ControlRequest
from broker.services import CONTROL
from simulator.link_config import fixed_delay
from tests.simulation import Simulation, counter_world

pytestmark = pytest.mark.timeout(60)


def test_agents_may_leave_while_the_world_is_paused():
    with Simulation(counter_world(), "left", "right") as simulation:
        for hand in simulation.hands.values():
            hand.await_tick(0)
        simulation.order("pause")
        for hand in simulation.hands.values():
            hand.act(0)
        assert simulation.applied().tick == 0
        for hand in simulation.hands.values():
            hand.leave()
        assert simulation.simulator.end() == 0


def test_pause_step_and_resume():
    with Simulation(counter_world(), "left", "right") as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        assert simulation.order("pause").paused
        simulation.hands["right"].await_tick(0)
        left.act(0), simulation.hands["right"].act(0)  # the open tick is finished
        simulation.applied()
        assert left.hears_nothing()
        assert simulation.order("step", n=2).tick == 1
        simulation.play(1), simulation.play(2)
        assert [simulation.applied().tick for _ in range(2)] == [1, 2]
        assert left.hears_nothing()
        assert simulation.order("status").tick == 3
        assert not simulation.order("resume").paused
        simulation.play(3), simulation.play(4)
        assert simulation.applied().tick == 3


def test_a_pause_forgets_the_steps_that_were_left():
    with Simulation(counter_world(), "left", "right") as simulation:
        simulation.order("step", n=100)
        simulation.play(0)
        for hand in simulation.hands.values():
            hand.await_tick(1)
        simulation.order("pause")
        for hand in simulation.hands.values():
            hand.act(1)
        assert simulation.applied().tick == 0
        assert simulation.applied().tick == 1
        assert simulation.hands["left"].hears_nothing()


def test_a_reset_begins_a_new_epoch_and_its_seed_decides_the_world():
    with Simulation(counter_world(), "left", "right", seed=5) as simulation:
        left, right = simulation.hands.values()
        first = left.await_tick(0)
        right.await_tick(0)
        left.act(0, 3)  # half of a tick, then the reset
        simulation.order("reset", seed=6)
        other = left.await_tick(0, epoch=2)
        assert not np.array_equal(other.obs, first.obs)
        right.act(0, 3, epoch=1)  # too late: of the world before
        right.await_tick(0, epoch=2)
        left.act(0, 1, epoch=2), right.act(0, 2, epoch=2)
        applied = simulation.applied()
        assert (applied.epoch, applied.tick, applied.actions[0].tolist()) == (2, 0, [1, 2])
        simulation.order("reset", seed=5)
        again = left.await_tick(0, epoch=3)
        assert np.array_equal(again.obs, first.obs)
        assert simulation.description().epoch == 3


def test_a_paused_world_can_be_reset():
    with Simulation(counter_world(), "left", "right") as simulation:
        simulation.order("pause")
        simulation.hands["left"].await_tick(0)
        assert simulation.order("reset").paused
        simulation.order("resume")
        simulation.play(0, epoch=2)
        assert simulation.applied().epoch == 2


def test_status_tells_who_is_missing_and_who_has_left_and_stop_ends_the_run():
    with Simulation(counter_world(), "left", "right") as simulation:
        left, right = simulation.hands.values()
        left.await_tick(0), left.leave()
        began = time.monotonic()
        right.await_tick(0), right.act(0)
        right.await_tick(1)
        shown = time.monotonic()
        assert right.hears_nothing(0.2)
        waited_s = time.monotonic() - shown
        reply = simulation.order("status")
        status = json.loads(reply.detail)
        assert waited_s - 0.001 <= status.pop("waited_s") <= time.monotonic() - began
        assert status == {"left": ["left"], "missing": ["right"]}
        assert (reply.epoch, reply.tick, reply.paused) == (1, 1, False)
        simulation.order("stop")
        assert simulation.simulator.end() == 0


def test_no_tick_waits_before_the_first_one_or_by_the_clock():
    with Simulation(counter_world(), "left", "right", wait_for=["recorder"]) as simulation:
        assert json.loads(simulation.order("status").detail)["waited_s"] == 0.0
    with Simulation(counter_world(), "left", "right", mode="realtime", period_s=1000.0) as simulation:
        simulation.hands["left"].await_tick(0)
        assert json.loads(simulation.order("status").detail)["waited_s"] == 0.0


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("jump", "{}", "command is 'jump', expected one of pause, resume, step"),
        ("pause", "[]", r"arguments is '\[\]', expected a JSON object"),
        ("pause", "{", "expected a JSON object"),
        ("pause", '{"for": 3}', r"pause's arguments is \['for'\]"),
        ("step", '{"n": 0}', "n is 0, expected an integer >= 1"),
        ("reset", '{"seed": "x"}', "seed is 'x', expected an integer >= 0"),
        ("rate", "{}", "rate is None, expected simulated seconds per second from 2.3.*e-05 .a tick a day"),
        ("rate", '{"rate": -1}', "rate is -1"),
        ("rate", '{"rate": Infinity}', "rate is inf"),
        ("rate", '{"rate": NaN}', "rate is nan"),
        ("rate", '{"rate": 1e-7}', "rate is 1e-07"),
        ("rate", '{"rate": 1e-310}', "rate is 1e-310"),
        ("rate", f'{{"rate": 1{"0" * 400}}}', "rate is 10000"),
        ("link", '{"default": {"measurement": {"loss": 2}}}', "loss is 2, expected a probability"),
        ("link", '{"agents": {"middle": {}}}', r"scada.agents is \['middle'\]"),
        ("link", '{"age_feature": true}', "age_feature cannot change while running"),
    ],
)
def test_orders_that_make_no_sense_are_refused_and_change_nothing(command, arguments, expected):
    with Simulation(counter_world(), "left", "right") as simulation:
        simulation.hands["left"].await_tick(0)
        client = simulation.watcher.client(CONTROL)
        with pytest.raises(ServiceError, match=expected):
            client.call(ControlRequest(command, arguments), timeout_s=10)
        simulation.hands["right"].await_tick(0)
        for hand in simulation.hands.values():
            hand.act(0)
        assert not simulation.order("status").paused
        assert simulation.applied().tick == 0


@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 0), (1, 2)])
def test_a_changed_link_shows_at_once_and_states_keep_the_width_that_was_promised(before, after):
    delayed = {"default": {"measurement": {"delay": {"fixed": after}}}}
    with Simulation(counter_world(fixed_delay(before), length=6), "left", "right") as simulation:
        width = simulation.description().in_flight_dim
        assert width == before * 4  # two agents with two values each
        for tick in range(3):
            simulation.play(tick)
        for hand in simulation.hands.values():
            hand.await_tick(3)
        note = simulation.order("link", **delayed).detail
        assert f"holds {4 * after} values" in note
        for hand in simulation.hands.values():
            hand.act(3)
        for tick in range(4, 9):
            simulation.play(tick)
        shown = simulation.hands["left"].await_tick(9)
        # Copy i has begun a new episode at tick 6 + i, and was shown its first state at once.
        assert shown.measured_tick.tolist() == [max(9 - after, began) for began in (6, 7, 8)]
        states = [simulation.state() for _ in range(10)]
        assert {state.in_flight.shape for state in states} == {(3, width)}
        finals = [state.final_state for state in states if state.final_state is not None]
        assert {final.shape for final in finals} == {(3, 1 + width)}
        simulation.order("reset", seed=1)
        assert simulation.hands["left"].await_tick(0, epoch=2).tick == 0
        assert simulation.description().in_flight_dim == width
