"""The simulator on the bus: every tick once, and nobody's silence unnoticed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from broker import topics
from broker.errors import LockstepError, ServiceError
from broker.messages import HistoryRequest
from broker.services import HISTORY
from simulator.frame import Verdict
from simulator.link_config import fixed_delay
from tests.simulation import Simulation, counter_world

pytestmark = pytest.mark.timeout(60)


def test_each_tick_is_applied_once_whatever_is_repeated_stale_or_early():
    with Simulation(counter_world(), "left", "right", max_ticks=12) as simulation:
        left, right = simulation.hands.values()
        wanted = [tick % 3 for tick in range(12)]
        for tick, action in enumerate(wanted):
            left.await_tick(tick), right.await_tick(tick)
            left.act(tick + 1, 3)  # not asked yet
            left.act(tick, action)
            left.act(tick, 3)  # a second answer
            left.act(tick - 1, 3)  # of an earlier tick
            left.act(tick, 3, epoch=9)  # of another world
            right.act(tick, 1)
        applied = [simulation.applied() for _ in wanted]
        states = [simulation.state() for _ in range(13)]
        assert simulation.simulator.end() == 0
    assert [(a.epoch, a.tick) for a in applied] == [(1, tick) for tick in range(12)]
    assert [a.actions.tolist() for a in applied] == [[[action, 1]] * 3 for action in wanted]
    assert all((a.verdicts == Verdict.APPLIED).all() for a in applied)
    assert [s.tick for s in states] == list(range(13))
    assert [s.metrics[0, 0] for s in states] == list(range(13))  # the grid's own count of its steps


def test_only_those_who_have_not_answered_are_asked_again():
    with Simulation(counter_world(), "left", "right") as simulation:
        left, right = simulation.hands.values()
        left.await_tick(0)
        left.act(0)
        for _ in range(4):
            right.look()
        assert right.seen == [(1, 0)] * 4
        right.act(0)
        left.await_tick(1)
        assert len(left.seen) <= 3  # once, or twice if it was asked before its answer arrived, and tick 1


def test_a_missing_agent_ends_the_run_with_an_error_that_names_it():
    with Simulation(counter_world(), "left", "right", deadline_s=60.0, start_deadline_s=0.3) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.hands["left"].act(0)
        with pytest.raises(LockstepError, match=r"\['right'\] for tick 0 of epoch 1 within 0\.3 s"):
            simulation.simulator.end()


def test_who_is_slow_is_named_once_before_the_deadline(caplog):
    with Simulation(counter_world(), "left", "right", start_deadline_s=0.6) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.hands["left"].act(0)
        with pytest.raises(LockstepError):
            simulation.simulator.end()
    assert caplog.text.count("tick 0 of epoch 1 waits for ['right'], for at most 0.6 s") == 1


def test_an_agent_that_was_heard_has_the_shorter_deadline():
    with Simulation(counter_world(), "left", "right", deadline_s=0.1, start_deadline_s=60.0) as simulation:
        simulation.play(0)
        simulation.hands["left"].await_tick(1)
        simulation.hands["left"].act(1)
        with pytest.raises(LockstepError, match=r"\['right'\] for tick 1 of epoch 1 within 0\.1 s"):
            simulation.simulator.end()


def test_the_fallback_stands_in_for_a_missing_agent_until_it_is_heard():
    settings = {"on_missing": "fallback", "deadline_s": 1.0, "start_deadline_s": 1.0}
    with Simulation(counter_world(), "left", "right", **settings) as simulation:
        left, right = simulation.hands.values()
        for tick in range(12):
            left.await_tick(tick)
            left.act(tick, 3 if tick % 3 == 0 else 1)
            applied = simulation.applied()
            assert applied.verdicts.tolist() == [[Verdict.APPLIED, Verdict.LATE]] * 3
            assert applied.actions[:, 1].tolist() == [0, 0, 0]
        while right.look().tick < 12:
            pass
        right.act(12, 2)
        left.await_tick(12), left.act(12, 1)
        assert simulation.applied().verdicts[0].tolist() == [Verdict.APPLIED, Verdict.APPLIED]


@pytest.mark.parametrize(
    "action",
    [np.full(3, 7), np.zeros(2, np.int64), np.zeros((3, 1), np.float32)],
    ids=["range", "shape", "type"],
)
def test_an_action_outside_its_space_is_refused_with_a_reason(action):
    here = counter_world()
    with Simulation(here, "left", "right") as simulation:
        simulation.play(0, left=1, right=action)
        applied = simulation.applied()
        assert applied.verdicts.tolist() == [[Verdict.APPLIED, Verdict.ILLEGAL]] * 3
        assert applied.actions.tolist() == [[1, 0]] * 3
        reasons = simulation.description().reasons
        assert "not in the agent's action space" in reasons[applied.details[0, 1]]
        simulation.play(1, left=1, right=1)
        assert simulation.applied().verdicts.tolist() == [[Verdict.APPLIED, Verdict.APPLIED]] * 3


def test_a_number_that_is_none_is_refused():
    with Simulation(counter_world(box=True), "left", "right") as simulation:
        fine, none = np.full((3, 1), 0.5, np.float32), np.full((3, 1), np.nan, np.float32)
        simulation.play(0, left=fine, right=none)
        assert simulation.applied().verdicts[0].tolist() == [Verdict.APPLIED, Verdict.ILLEGAL]


def test_bytes_that_are_no_message_are_counted_and_the_node_lives():
    with Simulation(counter_world(), "left", "right") as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        left.node._transport.publish([topics.action("left").encode() + b"\0", b"\xc1 no header"])
        left.act(0, 1)
        simulation.hands["right"].await_tick(0)
        simulation.hands["right"].act(0)
        assert simulation.applied().actions[0].tolist() == [1, 0]
        assert simulation.simulator.node.counters.refused == 1


def test_all_agents_leaving_ends_the_run(tmp_path):
    with Simulation(counter_world(), "left", "right", run_dir=str(tmp_path)) as simulation:
        simulation.play(0)
        simulation.hands["left"].await_tick(1)
        simulation.hands["left"].leave()
        simulation.hands["right"].await_tick(1)
        simulation.hands["right"].act(1, 1)  # the one who stays is enough
        assert simulation.applied().tick == 0
        assert simulation.applied().verdicts[0].tolist() == [Verdict.LATE, Verdict.APPLIED]
        simulation.hands["right"].leave()
        assert simulation.simulator.end() == 0
    timing = json.loads((tmp_path / "timing" / "simulator.json").read_text())
    assert (timing["ticks"], timing["n_envs"]) == (2, 3)
    assert set(timing["seconds"]) == {"physics", "messaging", "waiting"}


def test_an_agent_that_left_is_waited_for_again_once_it_answers():
    with Simulation(counter_world(), "left", "right") as simulation:
        left, right = simulation.hands.values()
        left.await_tick(0), left.leave()
        right.await_tick(0), right.act(0)
        left.await_tick(1), left.act(1)
        right.await_tick(1), right.act(1)
        right.await_tick(2), right.act(2)
        assert right.hears_nothing()  # tick 2 waits for left
        left.await_tick(2), left.act(2)
        right.await_tick(3)


def test_companions_act_until_all_others_have_left():
    with Simulation(counter_world(), "left", "right", companions=["right"]) as simulation:
        simulation.play(0)
        simulation.play(1, right=1)
        assert [simulation.applied().actions[0].tolist() for _ in range(2)] == [[0, 0], [0, 1]]
        simulation.hands["left"].leave()
        assert simulation.simulator.end() == 0


def test_states_are_kept_for_those_who_missed_them_but_not_those_of_an_earlier_epoch():
    with Simulation(counter_world(), "left", "right", history_ticks=3) as simulation:
        for tick in range(4):
            simulation.play(tick)
        states = [simulation.state() for _ in range(5)]
        client = simulation.watcher.client(HISTORY)
        recalled = client.call(HistoryRequest(1, 3), timeout_s=10)
        assert np.array_equal(recalled.state, states[3].state)
        assert np.array_equal(recalled.rewards, states[3].rewards)
        with pytest.raises(ServiceError, match=r"tick 1 is not kept; kept are \[\(1, 2\), \(1, 4\)\]"):
            client.call(HistoryRequest(1, 1), timeout_s=10)
        simulation.order("reset")
        simulation.hands["left"].await_tick(0, epoch=2)
        with pytest.raises(ServiceError, match=r"tick 4 is not kept; kept are \[\(2, 0\), \(2, 0\)\]"):
            client.call(HistoryRequest(1, 4), timeout_s=10)


def test_the_description_tells_agents_what_they_must_know():
    with Simulation(counter_world(fixed_delay(1)), "left", "right", seed=3) as simulation:
        told = simulation.description()
    assert (told.name, told.agents, told.n_envs, told.dt_s) == ("counter", ("left", "right"), 3, 2.0)
    assert json.loads(told.spaces)["left"]["action"] == {"kind": "discrete", "n": 4}
    assert json.loads(told.spaces)["left"]["observation"]["low"] == [None, None]
    assert json.loads(told.features)["state"] == [["count", "1"]]
    assert json.loads(told.neighbours) == {"left": ["right"], "right": ["left"]}
    assert (told.state_dim, told.in_flight_dim, told.masked, told.mode) == (1, 4, True, "lockstep")
    assert json.loads(told.config)["seed"] == 3
