"""Replay to agents: the bag takes the simulator's place, and live actions are compared with recorded ones.

In lock-step, as the simulator is: what was recorded of the next tick leaves when every agent has answered.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from broker import Node, codec, topics
from broker.bag.comparison import Comparison
from broker.bag.errors import BagError
from broker.bag.lives import with_incarnation
from broker.bag.outcome import outcome
from broker.bag.player import PlayerNode
from broker.bag.reader import TopicInfo
from broker.bag.recorded import Recorded
from broker.bag.settings import PlayerSettings
from broker.errors import LockstepError
from broker.lockstep import Leader, Receipt, Round
from broker.messages import Action, Array, GridState, HistoryRequest, Observation
from broker.presence import present
from broker.services import HISTORY

_RETRY_S = 0.5
_HISTORY = 4096  # states kept for a critic that missed some
_GOODBYE_S = 60.0  # for agents that have left to end
_NEVER: Round = (-1, -1)  # before any round

OF_SIMULATOR = (topics.DESCRIPTION, topics.STATE, topics.APPLIED, topics.CLOCK)


class ToAgents(PlayerNode):
    """Plays what the simulator said, tick by tick, to agents that live."""

    def __init__(self, node: Node, settings: PlayerSettings) -> None:
        super().__init__(node, settings)
        self.comparison = Comparison("actions")
        agents = [agent for topic in self.infos if (agent := _observer(topic)) is not None]
        self._leader: Leader[Action] = Leader(agents, _RETRY_S)
        self._recorded: dict[tuple[str, int, int], Array] = {}  # agent, epoch, tick -> action
        self._live: dict[tuple[str, int, int], Array] = {}
        self._shown: dict[str, Recorded] = {}  # observations of the open round
        self._states: deque[Recorded] = deque(maxlen=_HISTORY)
        self._ticks = 0
        self._first: Round | None = None
        self._settled: dict[str, Round] = {}  # agent -> the last round whose recorded action is dealt with
        self._actions = {agent: node.subscription(topics.action(agent), Action) for agent in agents}
        node.server(HISTORY, self._recall)

    def _selected(self) -> dict[str, TopicInfo]:
        """Return the simulator's topics; the recorded actions are read, not played."""
        chosen = super()._selected()
        if not any(map(_observer, chosen)):
            msg = f"{self.settings.bag}: there are no observations in it: nothing that agents could answer"
            raise BagError(msg)
        return {t: info for t, info in chosen.items() if t in OF_SIMULATOR or _observer(t) is not None}

    def play_from(self, start_ns: int) -> None:
        """Play tick by tick; an action is compared as soon as it is here and in the bag."""
        self.pace.go_to(start_ns)
        for due_ns, message in self._with_actions(start_ns):
            agent = topics.agent_of(message.topic)
            if agent is not None and _observer(message.topic) is None:
                self._expect(agent, message)
                continue
            if self._closes_round(message) and not self._await_answers():
                return
            if not self.wait_until(due_ns):
                return
            self._open_round(message)
            self.send(message)
            if self.settings.max_ticks is not None and self._ticks > self.settings.max_ticks:
                return
        self._await_answers()

    def _with_actions(self, start_ns: int) -> Iterator[tuple[int, Recorded]]:
        played = self.infos
        actions = [topics.action(agent) for agent in self._leader.members]
        known = self.bag.topics()
        self.infos = {**played, **{topic: known[topic] for topic in actions if topic in known}}
        try:
            yield from self.schedule(start_ns)
        finally:
            self.infos = played

    def _closes_round(self, message: Recorded) -> bool:
        """Say whether a message belongs to what comes after the open round."""
        if self._leader.round is None:
            return False
        if _observer(message.topic) is None:
            return True
        shown = codec.decode(message.frames, Observation).message
        return (shown.epoch, shown.tick) > self._leader.round

    def _open_round(self, message: Recorded) -> None:
        agent = _observer(message.topic)
        if agent is None:
            if message.topic == topics.STATE:
                self._states.append(message)
            return
        shown = codec.decode(message.frames, Observation).message
        round_ = (shown.epoch, shown.tick)
        if self._leader.round is None or round_ > self._leader.round:
            self._leader.abandon(round_, time.monotonic())
            self._first = self._first or round_
            self._shown.clear()
            self._ticks += 1
            self.node.set_status("running", shown.tick, json.dumps({"ticks": self._ticks}))
        self._shown[agent] = message

    def _await_answers(self) -> bool:
        """Wait until every agent has answered the open round; False if the end came first."""
        leader = self._leader
        since = time.monotonic()
        self._take_actions()
        while leader.round is not None and self.going:
            waiting = [agent for agent in leader.missing if agent in self._shown]
            if not waiting:
                return len(leader.left) < len(leader.members)
            now = time.monotonic()
            if now - since > self.settings.deadline_s:
                msg = (
                    f"replay to agents: no action from {waiting} for tick {leader.round[1]} of epoch "
                    f"{leader.round[0]} within {self.settings.deadline_s:g} s; look at their logs"
                )
                raise LockstepError(msg)
            for agent in leader.due(now):
                self._show_again(agent)
            self.node.spin(max(0.001, leader.next_retry() - now))
            self._take_actions()
        return self.going

    def _show_again(self, agent: str) -> None:
        """Send an observation as of another life: of one life, a subscriber takes each message once."""
        if agent in self._shown:
            frames = self._shown[agent].frames
            self.node.relay([frames[0], with_incarnation(frames[1], time.time_ns()), *frames[2:]])

    def _take_actions(self) -> None:
        for agent, subscription in self._actions.items():
            while (received := subscription.take()) is not None:
                action = received.message
                if action.leaving:
                    self._leader.leave(agent)
                elif self._leader.accept(agent, (action.epoch, action.tick), action) is Receipt.ACCEPTED:
                    self._compare(agent, action.epoch, action.tick, live=action.action)

    def _expect(self, agent: str, message: Recorded) -> None:
        action = codec.decode(message.frames, Action).message
        again = (action.epoch, action.tick) <= self._settled.get(agent, _NEVER)
        if not (action.leaving or again):  # the first answer counted
            self._compare(agent, action.epoch, action.tick, recorded=action.action)

    def _compare(
        self, agent: str, epoch: int, tick: int, live: Array | None = None, recorded: Array | None = None
    ) -> None:
        key = (agent, epoch, tick)
        if live is not None:
            self._live[key] = live
        elif recorded is not None:
            self._recorded.setdefault(key, recorded)
        if key in self._live and key in self._recorded:
            self.comparison.add(agent, epoch, tick, self._live.pop(key), self._recorded.pop(key))
            self._settled[agent] = (epoch, tick)
        self._forget_before((epoch, tick - 2))

    def _forget_before(self, round_: Round) -> None:
        """Count recorded actions that were asked for and not given as missing, and forget them."""
        for agent, epoch, tick in [key for key in self._recorded if key[1:] < round_]:
            del self._recorded[agent, epoch, tick]
            self._settled[agent] = (epoch, tick)
            self.comparison.missing += self._first is not None and (epoch, tick) >= self._first

    def _recall(self, request: HistoryRequest) -> GridState:
        for message in reversed(self._states):
            state: GridState = codec.decode(message.frames, GridState).message
            if (state.epoch, state.tick) == (request.epoch, request.tick):
                return state
        msg = f"state of epoch {request.epoch}, tick {request.tick} has not been played, or long ago"
        raise LookupError(msg)

    def _finish(self) -> None:
        if self._leader.round is not None:
            epoch, tick = self._leader.round
            self._forget_before((epoch, tick + self.going))  # one that was stopped has not heard all answers
        self.comparison.unexpected = len(self._live)
        if self.settings.report:
            self.comparison.write(Path(self.settings.report))
        self._let_go()
        result = outcome(self, self.comparison, "replay to agents")
        super()._finish()
        self.node.set_status("done", note=json.dumps({"result": result}))

    def _let_go(self) -> None:
        """Stay until the agents that have left have saved what they must."""
        until = time.monotonic() + _GOODBYE_S
        while self.going and time.monotonic() < until:
            if not present(self.node) & set(self._leader.left):
                return
            self.node.spin(0.1)


def _observer(topic: str) -> str | None:
    """Return the agent whose observations a topic carries, None for other topics."""
    agent = topics.agent_of(topic)
    return agent if agent is not None and topic == topics.observation(agent) else None
