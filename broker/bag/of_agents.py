"""Replay of agents: recorded actions drive a live simulator or device, whose states are compared.

The player takes the place of all agents: each of their observations is answered with what was recorded for
that tick. It follows the first epoch of the bag.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from broker import Node, topics
from broker.bag.comparison import Comparison
from broker.bag.errors import BagError
from broker.bag.outcome import outcome
from broker.bag.player import PlayerNode
from broker.bag.reader import TopicInfo
from broker.bag.rounds import Round, description_of, rounds
from broker.bag.settings import PlayerSettings
from broker.errors import LockstepError
from broker.lockstep import Call, Member
from broker.messages import Action, GridDescription, GridState, Observation


class OfAgents(PlayerNode):
    """Answers for all agents from a bag."""

    def __init__(self, node: Node, settings: PlayerSettings) -> None:
        self._of = description_of(Path(settings.bag))
        super().__init__(node, settings)
        self.comparison = Comparison("states")
        self._members: dict[str, Member[Action]] = {agent: Member() for agent in self._of.agents}
        self._states = node.subscription(topics.STATE, GridState, keep=4000)
        self._descriptions = node.subscription(topics.DESCRIPTION, GridDescription, keep=10)
        self._observations = {
            a: node.subscription(topics.observation(a), Observation) for a in self._of.agents
        }
        self._publishers = {a: node.publisher(topics.action(a), Action) for a in self._of.agents}
        self._epoch: int | None = None  # of the live simulator
        self._then: dict[int, GridState] = {}  # tick -> recorded state that is to be compared
        self._left: set[str] = set()
        self._heard = time.monotonic()

    def _selected(self) -> dict[str, TopicInfo]:
        """Return nothing: actions are sent anew, because the live epoch may be another."""
        return {}

    def play_from(self, start_ns: int) -> None:
        """Answer tick by tick."""
        self.pace.go_to(start_ns)
        for ticks, recorded in enumerate(rounds(Path(self.settings.bag))):
            self._then[recorded.tick] = recorded.state
            limit = self.settings.max_ticks
            if (limit is not None and ticks >= limit) or not recorded.actions:
                self._await_state(recorded.tick)
                self._leave(recorded, self._members)
                return
            if not self._answer(recorded):
                return
            self._leave(recorded, [a for a in self._members if a not in recorded.actions])
            self.node.set_status("running", recorded.tick, json.dumps({"ticks": ticks + 1}))

    def _await_state(self, tick: int) -> None:
        while self.going and tick in self._then:
            self._listen(f"the state of tick {tick}")

    def _take_states(self) -> None:
        """Compare the states that have come."""
        while (received := self._states.take()) is not None:
            state = received.message
            self._begin(state.epoch)
            then = self._then.pop(state.tick, None) if state.epoch == self._epoch else None
            if then is not None:
                self._heard = time.monotonic()
                self.comparison.add("state", state.epoch, state.tick, state.state, then.state)

    def _begin(self, epoch: int) -> None:
        """Take the first epoch that is seen for the recorded one."""
        if self._epoch is None:
            self._check_grid()
            self._epoch = epoch

    def _check_grid(self) -> None:
        """Refuse a simulator of another grid than the recorded one."""
        received = None
        while (newer := self._descriptions.take()) is not None:
            received = newer
        if received is None:
            return
        live, then = received.message, self._of
        here = (live.name, live.agents, live.n_envs, live.state_dim)
        there = (then.name, then.agents, then.n_envs, then.state_dim)
        if here != there:
            msg = (
                f"{self.settings.bag}: is of grid {there[0]!r} with {there[2]} copies, agents "
                f"{list(there[1])} and {there[3]} state variables; the simulator has {here[0]!r} with "
                f"{here[2]}, {list(here[1])} and {here[3]}: give it the options of the recorded run"
            )
            raise BagError(msg)

    def _answer(self, recorded: Round) -> bool:
        """Wait until the observations of a tick are here, and answer them."""
        owing = set(recorded.actions) - self._left
        while owing and self.going:
            for agent in self._called(recorded.tick) & owing:
                then = recorded.actions[agent]
                assert self._epoch is not None
                answer = Action(self._epoch, then.tick, then.action, then.policy_version)
                self._members[agent].answered(answer)
                self._publishers[agent].publish(answer)
                owing.discard(agent)
            if owing:
                self._listen(f"observations of tick {recorded.tick} for {sorted(owing)}")
        return self.going

    def _called(self, tick: int) -> set[str]:
        """Take the observations that have come; return who is asked for a tick for the first time."""
        called = set()
        for agent, subscription in self._observations.items():
            member = self._members[agent]
            while (received := subscription.take()) is not None:
                observation = received.message
                self._begin(observation.epoch)
                self._heard = time.monotonic()
                match member.called((observation.epoch, observation.tick)):
                    case Call.REPEAT if member.answer is not None:
                        self._publishers[agent].publish(member.answer)
            if member.round == (self._epoch, tick) and member.answer is None:
                called.add(agent)
        return called

    def _listen(self, what: str) -> None:
        self.node.spin(0.5)
        self._take_states()
        if time.monotonic() - self._heard > self.settings.deadline_s:
            msg = f"replay of agents: waited {self.settings.deadline_s:g} s for {what}; is the simulator up?"
            raise LockstepError(msg)

    def _leave(self, recorded: Round, agents: Iterable[str]) -> None:
        """Tell the simulator that some agents will answer no more."""
        for agent in set(agents) - self._left:
            answer = self._members[agent].answer
            if answer is not None and self._epoch is not None:
                leave = Action(self._epoch, recorded.tick, answer.action, leaving=True)
                self._publishers[agent].publish(leave)
                self._left.add(agent)

    def _finish(self) -> None:
        self.comparison.missing = len(self._then)
        if self.settings.report:
            self.comparison.write(Path(self.settings.report))
        result = outcome(self, self.comparison, "replay of agents")
        super()._finish()
        self.node.set_status("done", note=json.dumps({"result": result}))
