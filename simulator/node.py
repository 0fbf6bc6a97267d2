"""The simulator node: puts any grid on the bus.

Lock-step mode waits for every agent's action of the open tick (broker.lockstep), so nothing depends
on timing. Real-time mode ticks by the clock; an action that comes too late counts as missing, and
the grid's fallback acts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broker import Node, topics
from broker.errors import LockstepError
from broker.lockstep import Leader, Receipt
from broker.messages import Action, Observation
from broker.presence import await_nodes
from broker.stopwatch import Stopwatch
from simulator.actions import checked_action
from simulator.announcer import Announcer
from simulator.continuity import Continuity, Standing
from simulator.control import Control
from simulator.errors import ActionError
from simulator.frame import Frame
from simulator.metronome import Metronome
from simulator.orders import Orders
from simulator.patience import Patience
from simulator.settings import SimulatorSettings
from simulator.world import World


class SimulatorNode:
    """One world on the bus.

    Args:
        node: the connection to the broker.
        world: the grid behind its SCADA link.
        settings: mode, deadlines, end of the run.
    """

    def __init__(self, node: Node, world: World, settings: SimulatorSettings) -> None:
        self._node = node
        self._world = world
        self._settings = settings
        spec = world.spec
        self._leader: Leader[Action] = Leader(spec.agents, settings.retry_s)
        self._orders = Orders(spec.dt_s, settings.period_s)
        self._announcer = Announcer(node, world, settings)
        self._continuity = Continuity(settings.run_dir)
        self._companions = frozenset(settings.companions)
        self._patience = Patience(settings)
        self._refused: set[str] = set()  # whose latest action was refused
        self._metronome = Metronome()
        self._total_ticks = 0
        self._watch = Stopwatch()
        self._actions = {agent: node.subscription(topics.action(agent), Action) for agent in spec.agents}
        lockstep = settings.mode == "lockstep"
        Control(node, world, self._orders, self._announcer, self._leader, waits=lockstep)

    def run(self) -> int:
        """Tick until all agents have left, `max_ticks` are done, or the node is stopped.

        Returns:
            the process's exit code.

        Raises:
            LockstepError: an agent was missing past its deadline, and `on_missing` is "error".
        """
        self._node.ready(timeout_s=30.0)
        self._take_over()
        if self._announcer.epoch == 0:
            absent = await_nodes(self._node, self._settings.wait_for)
            if absent:
                self._node.log("warning", f"begins without {absent}, which it was told to wait for")
        frame = self._begin_epoch(self._settings.seed)
        while self._node.ok() and not self._finished():
            if self._orders.reset_wanted:
                frame = self._begin_epoch(self._orders.reset_seed)
            if self._orders.holding:
                self._hold()
                continue
            frame = self._tick(frame)
        self._write_timing()
        self._node.set_status("done", tick=self._world.tick)
        return 0

    def _take_over(self) -> None:
        """Go on after an earlier life: in a later epoch, and without the agents that had left."""
        earlier = self._continuity.recall()
        self._announcer.take_over(earlier.epoch)
        for agent in earlier.left:
            self._leader.leave(agent)

    def _keep_standing(self) -> None:
        self._continuity.keep(Standing(self._announcer.epoch, self._leader.left))

    def _begin_epoch(self, seed: int | None) -> Frame:
        """Reset the world and tell everyone of the new epoch."""
        self._orders.reset_wanted = False
        frame = self._world.reset(seed)
        self._announcer.new_epoch(frame)
        self._keep_standing()
        self._node.set_status("running", tick=0, note=f"epoch {self._announcer.epoch}")
        self._metronome.begin()
        self._watch.lap("physics")
        return frame

    def _finished(self) -> bool:
        limit = self._settings.max_ticks
        out_of_ticks = limit is not None and self._total_ticks >= limit
        staying = set(self._leader.members) - set(self._leader.left)
        everyone_left = staying <= self._companions
        return self._orders.stopped or out_of_ticks or everyone_left

    def _finished_without(self, answers: Collection[str]) -> bool:
        """Return whether the run is over, and of nobody but companions there is an answer to be applied."""
        return self._finished() and self._companions.issuperset(answers)

    def _hold(self) -> None:
        """Let time pass while paused."""
        self._node.spin(0.1)
        self._take_answers()  # agents may leave
        self._metronome.begin()
        self._watch.lap("paused")

    def _tick(self, frame: Frame) -> Frame:
        """Show `frame` to the agents, gather their actions, and return the next frame."""
        observations = self._announcer.observations(frame)
        self._leader.abandon((self._announcer.epoch, self._world.tick), time.monotonic())
        self._announcer.show(observations, self._leader.members)
        self._watch.lap("messaging")
        realtime = self._settings.mode == "realtime"
        answers = self._gather_by_clock() if realtime else self._gather_in_lockstep(observations)
        if self._orders.interrupting or not self._node.ok() or self._finished_without(answers):
            return frame
        actions, refused = self._checked(answers)
        missing = [a for a in self._world.spec.agents if a not in actions and a not in refused]
        self._watch.lap("messaging")
        frame = self._world.step(actions, missing=missing, refused=refused)
        self._watch.lap("physics")
        self._total_ticks += 1
        self._keep_standing()  # who had left may be back
        self._orders.ticked()
        self._node.set_status("running", tick=self._world.tick)
        self._announcer.tick_done(frame)
        self._watch.lap("messaging")
        return frame

    def _gather_in_lockstep(self, observations: dict[str, Observation]) -> dict[str, Action]:
        """Wait until every agent has answered the open tick, or its time is over."""
        leader = self._leader
        said = False
        while self._awaited() and self._node.ok() and not self._orders.interrupting:
            if self._finished_without(leader.answers()):
                break
            self._node.spin(max(0.001, leader.next_retry() - time.monotonic()))
            self._watch.lap("waiting")
            self._take_answers()
            said = said or self._say_who_is_slow()
            self._announcer.show(observations, leader.due(time.monotonic()))
            self._watch.lap("messaging")
        return leader.answers()

    def _take_answers(self) -> None:
        for agent, action in self._arrived():
            if self._leader.accept(agent, (action.epoch, action.tick), action) is Receipt.ACCEPTED:
                self._patience.answer(agent)

    def _arrived(self) -> Iterator[tuple[str, Action]]:
        """Yield the actions that wait, by agent; let go those who leave."""
        for agent, subscription in self._actions.items():
            while (received := subscription.take()) is not None:
                if received.message.leaving:
                    self._leader.leave(agent)
                    self._keep_standing()
                else:
                    self._patience.hear(agent)
                    yield agent, received.message

    def _awaited(self) -> list[str]:
        """Return the agents whose answer is missing and whose time is not over.

        Raises:
            LockstepError: somebody's time is over, and `on_missing` is "error".
        """
        missing = self._leader.missing
        overdue = self._patience.overdue(missing, self._leader.waited(time.monotonic()))
        if overdue:
            self._give_up_on(overdue)
        return [agent for agent in missing if agent not in overdue]

    def _say_who_is_slow(self) -> bool:
        """Return whether somebody has used up half of its time, and say who."""
        slow = self._patience.slow(self._leader.missing, self._leader.waited(time.monotonic()))
        if slow:
            self._node.log(
                "warning", f"{self._where} waits for {[*slow]}, for at most {max(slow.values()):g} s"
            )
        return bool(slow)

    def _give_up_on(self, agents: list[str]) -> None:
        if self._settings.on_missing == "error":
            limit_s = self._patience.limit_s(agents[0])
            msg = (
                f"lock-step: no action from {agents} for {self._where} within {limit_s:g} s; "
                "look at their logs, raise deadline_s, or set on_missing: fallback"
            )
            raise LockstepError(msg)
        news = self._patience.give_up(agents)
        if news:
            self._node.log("warning", f"no action from {news} for {self._where}; the fallback acts for them")

    @property
    def _where(self) -> str:
        return f"tick {self._world.tick} of epoch {self._announcer.epoch}"

    def _gather_by_clock(self) -> dict[str, Action]:
        """Let the clock reach the next tick, and take what came in time."""
        newest: dict[str, Action] = {}
        while True:
            left_s = self._metronome.left_s(self._orders.period_s)
            self._node.spin(max(0.0, left_s))
            self._watch.lap("waiting")
            for agent, action in self._arrived():
                self._leader.accept(agent, (action.epoch, action.tick), action)  # it is not gone
                if self._in_time(action) and (agent not in newest or action.tick > newest[agent].tick):
                    newest[agent] = action
            if left_s <= 0 or self._orders.interrupting or not self._node.ok():
                break
        self._metronome.next(self._orders.period_s)
        return newest

    def _in_time(self, action: Action) -> bool:
        age = self._world.tick - action.tick
        return action.epoch == self._announcer.epoch and 0 <= age < self._settings.lifespan_ticks

    def _checked(self, answers: dict[str, Action]) -> tuple[dict[str, NDArray[np.generic]], list[str]]:
        """Return the usable actions, and the agents whose action is not in their space."""
        actions, refused = {}, []
        for agent, answer in answers.items():
            try:
                actions[agent] = checked_action(self._world.spec, agent, answer.action)
                self._refused.discard(agent)
            except ActionError as error:
                refused.append(agent)
                if agent not in self._refused:
                    self._refused.add(agent)
                    self._node.log("warning", f"{error}; refused, the fallback acts for it")
        return actions, refused

    def _write_timing(self) -> None:
        if self._settings.run_dir is not None:
            path = Path(self._settings.run_dir) / "timing" / f"{self._node.name}.json"
            self._watch.write(path, ticks=self._total_ticks, n_envs=self._world.spec.n_envs)
