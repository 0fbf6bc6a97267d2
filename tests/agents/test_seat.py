"""An agent's seat: every observation answered exactly once, and the same answer whenever asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from agents.errors import AgentsError, EpochChangedError, SimulatorGoneError
from agents.seat import Seat
from broker import Node, topics
from broker.errors import LockstepError
from broker.messages import Action, GridDescription, Observation
from tests.agents.descriptions import description
from tests.simulation import wait_for

pytestmark = pytest.mark.timeout(60)
_numbers = count()


class Bus:
    """A simulator that says what the test wants, and the seat of agent `left`."""

    def __init__(self) -> None:
        address = f"memory://seat{next(_numbers)}"
        self.simulator = Node("simulator", address)
        self.agent = Node("left", address)
        self._description = self.simulator.publisher(topics.DESCRIPTION, GridDescription, latched=True)
        self._observations = self.simulator.publisher(topics.observation("left"), Observation)
        self._actions = self.simulator.subscription(topics.action("left"), Action)
        self.simulator.ready()

    def seat(self, mode: str = "lockstep", agent: str = "left", patience_s: float = 10.0) -> Seat:
        self._description.publish(description(mode=mode))
        return Seat(self.agent, agent, patience_s)

    def publish(self, observation: Observation) -> None:
        self._observations.publish(observation)

    def show(self, tick: int, epoch: int = 1, *, done: bool = False) -> None:
        rows, ends = np.full((2, 3), tick, np.float32), np.array([done, False])
        ticks, never = np.full(2, tick), np.zeros(2, bool)
        self._observations.publish(Observation(epoch, tick, ticks, rows, rows[:, 0].copy(), never, ends))

    def actions(self, number: int) -> list[Action]:
        """Return so many actions, and make sure that there are no more."""
        found = [wait_for(self.simulator, self._actions.take).message for _ in range(number)]
        self.simulator.spin(0.0)
        assert self._actions.take() is None
        return found


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = Bus()
    yield bus
    bus.agent.close()
    bus.simulator.close()


def test_an_observation_is_answered_once(bus):
    seat = bus.seat()
    bus.show(0)
    assert seat.sit_down().tick == 0
    assert seat.sit_down().tick == 0  # it still waits for its answer
    seat.policy_version = 4
    seat.answer(np.array([1, 2], np.int32))
    with pytest.raises(LockstepError, match="has an answer"):
        seat.answer(np.array([1, 2]))
    bus.show(1)
    assert seat.next().tick == 1
    (action,) = bus.actions(1)
    assert (action.epoch, action.tick, action.policy_version, action.leaving) == (1, 0, 4, False)
    assert action.action.dtype == np.int64
    assert action.action.tolist() == [1, 2]


def test_quantities_travel_as_float32(bus):
    seat = bus.seat()
    bus.show(0)
    seat.sit_down()
    seat.answer(np.array([[0.5], [0.25]], np.float64))
    assert bus.actions(1)[0].action.dtype == np.float32


def test_a_call_that_is_repeated_gets_the_same_answer_again(bus):
    seat = bus.seat()
    bus.show(0)
    seat.sit_down()
    bus.show(0)  # asked again before there is an answer: the answer will do
    seat.answer(np.array([1, 2]))
    bus.show(0), bus.show(0), bus.show(1)
    assert seat.next().tick == 1
    bus.show(0)  # older than what was asked last: ignored
    seat.answer(np.array([2, 1]))
    bus.show(2)
    assert seat.next().tick == 2
    sent = bus.actions(5)
    assert [(a.tick, a.action.tolist()) for a in sent] == [(0, [1, 2])] * 4 + [(1, [2, 1])]


def test_a_new_epoch_is_an_event_and_its_first_observation_waits(bus):
    seat = bus.seat()
    bus.show(5)
    assert seat.sit_down().tick == 5  # who joins a running world begins in its middle
    seat.answer(np.zeros(2, int))
    bus.show(0, epoch=2)
    with pytest.raises(EpochChangedError, match="epoch 1 ended, epoch 2 runs") as change:
        seat.next()
    assert (change.value.before, change.value.now) == (1, 2)
    assert (seat.sit_down().epoch, seat.epoch, seat.tick) == (2, 2, 0)
    bus.show(6)  # of the world before
    seat.answer(np.zeros(2, int))
    bus.show(1, epoch=2)
    assert (seat.next().epoch, seat.tick) == (2, 1)


def test_lock_step_skips_no_tick(bus):
    seat = bus.seat()
    bus.show(0)
    seat.sit_down()
    seat.answer(np.zeros(2, int))
    bus.show(2)
    with pytest.raises(AgentsError, match="tick 2 followed 0; lock-step skips none"):
        seat.next()


def test_by_the_clock_only_the_newest_is_answered_and_missed_ends_are_told(bus):
    seat = bus.seat(mode="realtime")
    bus.show(0)
    seat.sit_down()
    seat.answer(np.zeros(2, int))
    bus.show(1), bus.show(2, done=True), bus.show(3)
    observation = seat.next()
    assert observation.tick == 3
    assert observation.truncated.tolist() == [True, False]
    seat.answer(np.zeros(2, int))
    assert [action.tick for action in bus.actions(2)] == [0, 3]


@pytest.mark.parametrize(
    ("field", "shape"),
    [("obs", (5, 3)), ("obs", (2, 7)), ("final_obs", (2, 2)), ("mask", (2, 3))],
)
def test_an_observation_of_another_shape_than_described_is_refused_and_the_next_one_taken(
    bus, caplog, field, shape
):
    seat = bus.seat()
    copies, kind = shape[0], bool if field == "mask" else np.float32
    ends, rows = np.zeros(copies, bool), np.zeros((copies, 3), np.float32)
    wrong = Observation(1, 0, np.zeros(copies, int), rows, rows[:, 0].copy(), ends, ends)
    bus.publish(replace(wrong, **{field: np.ones(shape, kind)}))
    bus.show(0)
    assert seat.sit_down().obs.shape == (2, 3)
    assert bus.agent.counters.refused == 1
    assert f"topic /grid/observation/left from simulator: Observation.{field}: got shape" in caplog.text
    assert f"{shape}, expected (2, {4 if field == 'mask' else 3})" in caplog.text


def test_leaving_says_so(bus):
    seat = bus.seat()
    bus.show(0)
    seat.sit_down()
    seat.leave()
    assert bus.actions(1)[0].leaving


def test_silence_ends_with_an_error_when_patience_is_over_or_the_node_is_stopped(bus):
    seat = bus.seat(patience_s=0.1)
    with pytest.raises(SimulatorGoneError, match=r"in vain for an observation .*\(after 0"):
        seat.sit_down()
    bus.agent.stop()
    with pytest.raises(SimulatorGoneError, match="the node was stopped"):
        seat.sit_down()


def test_a_name_that_the_grid_does_not_have_is_an_error_that_lists_them(bus):
    with pytest.raises(AgentsError, match=r"'middle': grid 'counter' has no such agent; .*'left', 'right'"):
        bus.seat(agent="middle")
