"""An agent's seat at the lock-step table: receive observations, answer each exactly once."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.description import GridView, observation_shapes, view_of
from agents.errors import AgentsError, EpochChangedError, SimulatorGoneError
from broker import Node, topics
from broker.codec import Header
from broker.errors import FrameError
from broker.lockstep import Call, Member
from broker.messages import Action, GridDescription, Observation


class Seat:
    """One agent on the bus.

    Args:
        node: the connection to the broker; this makes it ready.
        agent: the agent's name in the grid.
        patience_s: how long to wait for the simulator before giving up; None waits as long as the node lives.
    """

    def __init__(self, node: Node, agent: str, patience_s: float | None = None) -> None:
        self.node = node
        self.agent = agent
        self.observation: Observation | None = None  # the newest
        self.policy_version = 0
        self._patience_s = patience_s
        self._member: Member[Action] = Member()
        self._descriptions = node.subscription(topics.DESCRIPTION, GridDescription, keep=1)
        self._observations = node.subscription(topics.observation(agent), Observation)
        self._actions = node.publisher(topics.action(agent), Action)
        node.ready(timeout_s=30.0)
        self.view: GridView = view_of(self._first_description(), agent)
        self._shapes = observation_shapes(self.view)

    @property
    def epoch(self) -> int:
        """Return the epoch of the newest observation."""
        return 0 if self.observation is None else self.observation.epoch

    @property
    def tick(self) -> int:
        """Return the tick of the newest observation."""
        return 0 if self.observation is None else self.observation.tick

    def sit_down(self) -> Observation:
        """Return the observation that waits for an answer, waiting for one if there is none yet."""
        if self.observation is None or self._member.answer is not None:
            self.observation = self._wait()
        return self.observation

    def answer(self, action: NDArray[np.generic]) -> None:
        """Publish the action for the newest observation. Raises LockstepError if it has one already."""
        message = Action(self.epoch, self.tick, _on_the_wire(action), self.policy_version)
        self._member.answered(message)
        self._actions.publish(message)
        self.node.counters.tick = self.tick

    def next(self) -> Observation:
        """Wait for the observation of the tick after the answered one.

        Raises:
            EpochChangedError: the world was reset or restarted; `sit_down` gives its first observation.
            SimulatorGoneError: the node was stopped, or patience is over.
        """
        before = self.observation
        self.observation = self._wait()
        if before is not None and self.observation.epoch != before.epoch:
            raise EpochChangedError(before.epoch, self.observation.epoch)
        if before is not None and self.view.mode == "lockstep" and self.tick != before.tick + 1:
            msg = f"agent '{self.agent}': tick {self.tick} followed {before.tick}; lock-step skips none"
            raise AgentsError(msg)
        return self.observation

    def await_new_epoch(self, timeout_s: float) -> None:
        """Return if the world does not begin anew within the time.

        Raises:
            EpochChangedError: it does; `sit_down` gives its first observation.
        """
        before, until = self.epoch, time.monotonic() + timeout_s
        while self.node.ok() and time.monotonic() < until:
            while (observation := self._take()) is not None:
                match self._member.called((observation.epoch, observation.tick)):
                    case Call.NEW:
                        self.observation = observation
                        if observation.epoch != before:
                            raise EpochChangedError(before, observation.epoch)
                    case Call.REPEAT if self._member.answer is not None:
                        self._actions.publish(self._member.answer)
            self.node.spin(0.1)

    def leave(self) -> None:
        """Tell the simulator not to wait for this agent any more."""
        rest = np.zeros((self.view.n_envs, *(self.view.action_space.shape or ())))
        empty = rest.astype(self.view.action_space.dtype or np.float32)
        self._actions.publish(Action(self.epoch, self.tick, _on_the_wire(empty), leaving=True))

    def _first_description(self) -> GridDescription:
        while (received := self._descriptions.take()) is None:
            self._spin(time.monotonic(), "the grid's description")
        return received.message

    def _wait(self) -> Observation:
        """Return the next observation that is new, answering repeated calls on the way."""
        since = time.monotonic()
        while True:
            newest: Observation | None = None
            while (observation := self._take()) is not None:
                match self._member.called((observation.epoch, observation.tick)):
                    case Call.NEW if self.view.mode == "lockstep":
                        return observation
                    case Call.NEW:  # by the clock: whoever was too slow answers the newest only
                        newest = observation if newest is None else _merged(newest, observation)
                    case Call.REPEAT if self._member.answer is not None:
                        self._actions.publish(self._member.answer)
            if newest is not None:
                return newest
            self._spin(since, f"an observation after tick {self.tick} of epoch {self.epoch}")

    def _take(self) -> Observation | None:
        """Return the next observation that has come; refuse those of other shapes than the grid's."""
        while (received := self._observations.take()) is not None:
            fields = vars(received.message)
            for name, shape in self._shapes.items():
                if fields[name] is not None and fields[name].shape != shape:
                    self.node.refuse(_misfit(received.header, name, fields[name].shape, shape))
                    break
            else:
                return received.message
        return None

    def _spin(self, since: float, what: str) -> None:
        self.node.spin(0.5)
        waited = time.monotonic() - since
        if not self.node.ok() or (self._patience_s is not None and waited > self._patience_s):
            why = "the node was stopped" if not self.node.ok() else f"after {waited:.1f} s"
            msg = f"agent '{self.agent}': waited in vain for {what} from the simulator ({why})"
            raise SimulatorGoneError(msg)


def _merged(missed: Observation, newest: Observation) -> Observation:
    """Return the newest observation with the ends of episodes that were missed before it."""
    if missed.epoch != newest.epoch:
        return newest
    terminated, truncated = missed.terminated | newest.terminated, missed.truncated | newest.truncated
    return replace(newest, terminated=terminated, truncated=truncated)


def _misfit(header: Header, name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> FrameError:
    error = FrameError(
        f"topic {header.topic} from {header.sender}: Observation.{name}: got shape {got}, "
        f"expected {expected} as in {topics.DESCRIPTION}; if the grid is another one now, restart this agent"
    )
    error.sender = header.sender
    return error


def _on_the_wire(action: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the action in the dtype that travels: int64 for choices, float32 for quantities."""
    dtype = np.int64 if np.issubdtype(action.dtype, np.integer) else np.float32
    return np.ascontiguousarray(action, dtype)
