"""The simulator on the bus: every tick once, nobody's silence unnoticed, orders obeyed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from broker import Node, topics
from broker.errors import LockstepError, ServiceError
from broker.messages import ControlRequest, GridDescription, HistoryRequest
from broker.services import CONTROL, HISTORY
from simulator import node as simulator_node
from simulator.errors import OptionError
from simulator.frame import Verdict
from simulator.link_config import LinkConfig, fixed_delay
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings
from simulator.world import World
from tests.grids import CounterGrid
from tests.simulation import Simulation, wait_for

pytestmark = pytest.mark.timeout(60)


def world(link: LinkConfig | None = None, **grid) -> World:
    return World(CounterGrid(**{"length": 1000, **grid}), link or LinkConfig())


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
    monkeypatch.setattr(simulator_node, "time", clock)
    return clock


def described(simulation: Simulation, name: str = "reader") -> GridDescription:
    with Node(name, simulation.address) as node:
        subscription = node.subscription(topics.DESCRIPTION, GridDescription, keep=1)
        node.ready()
        return wait_for(node, subscription.take).message


def test_each_tick_is_applied_once_whatever_is_repeated_stale_or_early():
    with Simulation(world(), "left", "right", max_ticks=12) as simulation:
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
    with Simulation(world(), "left", "right") as simulation:
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
    with Simulation(world(), "left", "right", deadline_s=60.0, start_deadline_s=0.3) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.hands["left"].act(0)
        with pytest.raises(LockstepError, match=r"\['right'\] for tick 0 of epoch 1 within 0\.3 s"):
            simulation.simulator.end()


def test_who_is_slow_is_named_once_before_the_deadline(caplog):
    with Simulation(world(), "left", "right", start_deadline_s=0.6) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.hands["left"].act(0)
        with pytest.raises(LockstepError):
            simulation.simulator.end()
    assert caplog.text.count("tick 0 of epoch 1 waits for ['right'], for at most 0.6 s") == 1


def test_an_agent_that_was_heard_has_the_shorter_deadline():
    with Simulation(world(), "left", "right", deadline_s=0.1, start_deadline_s=60.0) as simulation:
        simulation.play(0)
        simulation.hands["left"].await_tick(1)
        simulation.hands["left"].act(1)
        with pytest.raises(LockstepError, match=r"\['right'\] for tick 1 of epoch 1 within 0\.1 s"):
            simulation.simulator.end()


def test_the_fallback_stands_in_for_a_missing_agent_and_waits_for_its_deadline_once_only():
    settings = {"on_missing": "fallback", "deadline_s": 1.0, "start_deadline_s": 1.0}
    with Simulation(world(), "left", "right", **settings) as simulation:
        left, right = simulation.hands.values()
        began = time.monotonic()
        for tick in range(12):
            left.await_tick(tick)
            left.act(tick, 3 if tick % 3 == 0 else 1)
            applied = simulation.applied()
            assert applied.verdicts.tolist() == [[Verdict.APPLIED, Verdict.LATE]] * 3
            assert applied.actions[:, 1].tolist() == [0, 0, 0]
        assert time.monotonic() - began < 8.0  # twelve deadlines would be 12 s
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
    here = world()
    with Simulation(here, "left", "right") as simulation:
        simulation.play(0, left=1, right=action)
        applied = simulation.applied()
        assert applied.verdicts.tolist() == [[Verdict.APPLIED, Verdict.ILLEGAL]] * 3
        assert applied.actions.tolist() == [[1, 0]] * 3
        reasons = described(simulation).reasons
        assert "not in the agent's action space" in reasons[applied.details[0, 1]]
        simulation.play(1, left=1, right=1)
        assert simulation.applied().verdicts.tolist() == [[Verdict.APPLIED, Verdict.APPLIED]] * 3


def test_a_number_that_is_none_is_refused():
    with Simulation(world(box=True), "left", "right") as simulation:
        fine, none = np.full((3, 1), 0.5, np.float32), np.full((3, 1), np.nan, np.float32)
        simulation.play(0, left=fine, right=none)
        assert simulation.applied().verdicts[0].tolist() == [Verdict.APPLIED, Verdict.ILLEGAL]


def test_bytes_that_are_no_message_are_counted_and_the_node_lives():
    with Simulation(world(), "left", "right") as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        left.node._transport.publish([topics.action("left").encode() + b"\0", b"\xc1 no header"])
        left.act(0, 1)
        simulation.hands["right"].await_tick(0)
        simulation.hands["right"].act(0)
        assert simulation.applied().actions[0].tolist() == [1, 0]
        assert simulation.simulator.node.counters.refused == 1


def test_all_agents_leaving_ends_the_run(tmp_path):
    with Simulation(world(), "left", "right", run_dir=str(tmp_path)) as simulation:
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
    with Simulation(world(), "left", "right") as simulation:
        left, right = simulation.hands.values()
        left.await_tick(0), left.leave()
        right.await_tick(0), right.act(0)
        left.await_tick(1), left.act(1)
        right.await_tick(1), right.act(1)
        right.await_tick(2), right.act(2)
        assert right.hears_nothing()  # tick 2 waits for left
        left.await_tick(2), left.act(2)
        right.await_tick(3)


def test_agents_may_leave_while_the_world_is_paused():
    with Simulation(world(), "left", "right") as simulation:
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
    with Simulation(world(), "left", "right") as simulation:
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
    with Simulation(world(), "left", "right") as simulation:
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
    with Simulation(world(), "left", "right", seed=5) as simulation:
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
        assert described(simulation).epoch == 3


def test_a_paused_world_can_be_reset():
    with Simulation(world(), "left", "right") as simulation:
        simulation.order("pause")
        simulation.hands["left"].await_tick(0)
        assert simulation.order("reset").paused
        simulation.order("resume")
        simulation.play(0, epoch=2)
        assert simulation.applied().epoch == 2


def test_a_later_simulator_counts_on_from_the_epoch_of_an_earlier_one():
    simulation = Simulation(world(), "left", "right")
    with Simulation(world(), "left", "right") as other:
        earlier = described(other)
    publisher = simulation.watcher.publisher(topics.DESCRIPTION, GridDescription, latched=True)
    simulation.watcher.ready()
    publisher.publish(GridDescription(**{**vars(earlier), "epoch": 7}))
    with simulation:
        assert simulation.hands["left"].look().epoch == 8


def test_a_simulator_that_failed_comes_back_in_a_later_epoch():
    with Simulation(world(), "left", "right", deadline_s=0.2) as simulation:
        simulation.play(0)
        with pytest.raises(LockstepError):
            simulation.simulator.end()
        again = simulation.start(
            "simulator", lambda node: SimulatorNode(node, world(), SimulatorSettings(n_envs=3)).run()
        )
        for hand in simulation.hands.values():
            assert hand.await_tick(0, epoch=2).tick == 0
        again.node.stop()
        assert again.end() == 0


def test_a_simulator_knows_its_earlier_lives_when_the_broker_has_died_too(tmp_path):
    settings = {"run_dir": str(tmp_path), "wait_for": ["recorder"]}
    with Simulation(world(), "left", "right", "recorder", **settings) as simulation:
        left, right = (simulation.hands[name] for name in ("left", "right"))
        left.await_tick(0), right.await_tick(0)
        left.leave(), right.act(0)
        right.await_tick(1)
    with Simulation(world(), "right", **settings) as simulation:  # on a bus that knows nothing
        right = simulation.hands["right"]
        right.await_tick(0, epoch=2), right.act(0, 1, epoch=2)  # at once: nobody waits for the recorder again
        assert simulation.applied().verdicts[0].tolist() == [Verdict.LATE, Verdict.APPLIED]
        right.leave()
        assert simulation.simulator.end() == 0


def test_a_full_disk_does_not_end_a_simulator(tmp_path, caplog):
    (tmp_path / "nodes").touch()  # where a folder is wanted
    with Simulation(world(), "left", "right", run_dir=str(tmp_path)) as simulation:
        simulation.play(0)
        assert simulation.applied().tick == 0
    assert "cannot be written" in caplog.text


def test_companions_act_until_all_others_have_left():
    with Simulation(world(), "left", "right", companions=["right"]) as simulation:
        simulation.play(0)
        simulation.play(1, right=1)
        assert [simulation.applied().actions[0].tolist() for _ in range(2)] == [[0, 0], [0, 1]]
        simulation.hands["left"].leave()
        assert simulation.simulator.end() == 0


def test_status_tells_who_is_missing_and_who_has_left_and_stop_ends_the_run():
    with Simulation(world(), "left", "right") as simulation:
        left, right = simulation.hands.values()
        left.await_tick(0), left.leave()
        right.await_tick(0), right.act(0)
        right.await_tick(1)
        reply = simulation.order("status")
        assert json.loads(reply.detail) == {"left": ["left"], "missing": ["right"]}
        assert (reply.epoch, reply.tick, reply.paused) == (1, 1, False)
        simulation.order("stop")
        assert simulation.simulator.end() == 0


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
    with Simulation(world(), "left", "right") as simulation:
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
    with Simulation(world(fixed_delay(before), length=6), "left", "right") as simulation:
        width = described(simulation).in_flight_dim
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
        assert described(simulation).in_flight_dim == width


def test_states_are_kept_for_those_who_missed_them_but_not_those_of_an_earlier_epoch():
    with Simulation(world(), "left", "right", history_ticks=3) as simulation:
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
    with Simulation(world(fixed_delay(1)), "left", "right", seed=3) as simulation:
        told = described(simulation)
    assert (told.name, told.agents, told.n_envs, told.dt_s) == ("counter", ("left", "right"), 3, 2.0)
    assert json.loads(told.spaces)["left"]["action"] == {"kind": "discrete", "n": 4}
    assert json.loads(told.spaces)["left"]["observation"]["low"] == [None, None]
    assert json.loads(told.features)["state"] == [["count", "1"]]
    assert json.loads(told.neighbours) == {"left": ["right"], "right": ["left"]}
    assert (told.state_dim, told.in_flight_dim, told.masked, told.mode) == (1, 4, True, "lockstep")
    assert json.loads(told.config)["seed"] == 3


def test_by_the_clock_the_fallback_acts_for_the_silent_and_the_verdict_says_so():
    with Simulation(world(), "left", "right", mode="realtime", period_s=0.05) as simulation:
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
    with Simulation(world(), "left", "right", **settings) as simulation:
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
    with Simulation(world(), "left", "right", **settings) as simulation:
        left = simulation.hands["left"]
        left.await_tick(0)
        left.act(0, 1, epoch=9), left.act(3, 1), left.act(1, 1)
        clock.reach(10.0, simulation)
        left.await_tick(1)
        clock.reach(20.0, simulation)
        assert [simulation.applied().verdicts[0, 0] for _ in range(2)] == [Verdict.LATE] * 2


def test_the_clock_neither_drifts_nor_hurries_and_its_rate_can_change(clock):
    with Simulation(world(), "left", "right", mode="realtime", period_s=10.0) as simulation:
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
    with Simulation(world(), "left", "right", mode="realtime", period_s=1000.0) as simulation:
        simulation.hands["left"].await_tick(0)
        simulation.order("reset")
        simulation.hands["left"].await_tick(0, epoch=2)
        simulation.order("stop")
        assert simulation.simulator.end() == 0


def test_by_the_clock_an_agent_that_came_back_keeps_the_run_going():
    settings = {"mode": "realtime", "period_s": 0.05, "lifespan_ticks": 1000}
    with Simulation(world(), "left", "right", **settings) as simulation:
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
