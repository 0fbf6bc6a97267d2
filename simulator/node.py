"""The simulator node: puts any grid on the bus.

Lock-step mode waits for every agent's action of the open tick (broker.lockstep), so nothing depends
on timing. Real-time mode ticks by the clock; an action that comes too late counts as missing, and
the grid's fallback acts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from broker import Node, topics
from broker.errors import LockstepError
from broker.lockstep import Leader, Receipt
from broker.messages import (
    Action,
    AppliedAction,
    Clock,
    ControlReply,
    ControlRequest,
    GridDescription,
    GridState,
    HistoryRequest,
    Observation,
)
from broker.services import CONTROL, HISTORY
from broker.stopwatch import Stopwatch
from simulator.actions import checked_action
from simulator.describe import features_json, spaces_json
from simulator.errors import ActionError, OptionError
from simulator.frame import Frame
from simulator.link_config import LinkConfig
from simulator.scada import as_rows
from simulator.settings import SimulatorSettings
from simulator.world import World

log = logging.getLogger(__name__)

Proposal = NDArray[np.generic] | None  # None: refused


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
        self._epoch = 0
        self._heard: set[str] = set()
        self._paused = False
        self._steps_allowed = 0
        self._reset_seed: int | None = None
        self._reset_wanted = False
        self._stopped = False
        self._period_s = settings.period_s or spec.dt_s
        self._total_ticks = 0
        self._history: deque[GridState] = deque(maxlen=settings.history_ticks)
        self._watch = Stopwatch()
        self._description = node.publisher(topics.DESCRIPTION, GridDescription, latched=True)
        self._state = node.publisher(topics.STATE, GridState)
        self._applied = node.publisher(topics.APPLIED, AppliedAction)
        self._clock = node.publisher(topics.CLOCK, Clock)
        self._observations = {
            agent: node.publisher(topics.observation(agent), Observation) for agent in spec.agents
        }
        self._actions = {agent: node.subscription(topics.action(agent), Action) for agent in spec.agents}
        self._earlier = node.subscription(topics.DESCRIPTION, GridDescription, keep=1)
        node.server(CONTROL, self._control)
        node.server(HISTORY, self._recall)

    def run(self) -> int:
        """Tick until all agents have left, `max_ticks` are done, or the node is stopped.

        Returns:
            the process's exit code.

        Raises:
            LockstepError: an agent was missing past its deadline, and `on_missing` is "error".
        """
        self._node.ready(timeout_s=30.0)
        self._epoch = self._epoch_before()
        frame = self._begin_epoch(self._settings.seed)
        while self._node.ok() and not self._finished():
            if self._reset_wanted:
                frame = self._begin_epoch(self._reset_seed)
            if self._paused and self._steps_allowed == 0:
                self._node.spin(0.1)
                self._watch.lap("paused")
                continue
            frame = self._tick(frame)
        self._write_timing()
        self._node.set_status("done", tick=self._world.tick)
        return 0

    def _epoch_before(self) -> int:
        """Return the epoch of an earlier simulator on this bus, so that ours is a later one."""
        received = self._earlier.take()
        return 0 if received is None else received.message.epoch

    def _begin_epoch(self, seed: int | None) -> Frame:
        """Reset the world and tell everyone of the new epoch."""
        self._reset_wanted = False
        frame = self._world.reset(seed)
        self._epoch += 1
        self._history.clear()
        self._description.publish(self._describe(frame))
        self._node.set_status("running", tick=0, note=f"epoch {self._epoch}")
        self._publish_state(frame)
        self._watch.lap("physics")
        return frame

    def _finished(self) -> bool:
        limit = self._settings.max_ticks
        out_of_ticks = limit is not None and self._total_ticks >= limit
        everyone_left = len(self._leader.left) == len(self._leader.members)
        return self._stopped or out_of_ticks or everyone_left

    def _tick(self, frame: Frame) -> Frame:
        """Show `frame` to the agents, gather their actions, and return the next frame."""
        realtime = self._settings.mode == "realtime"
        answers = self._gather_by_clock(frame) if realtime else self._gather_in_lockstep(frame)
        if self._reset_wanted or self._stopped or self._finished() or not self._node.ok():
            return frame
        actions, refused = self._checked(answers)
        missing = [a for a in self._world.spec.agents if a not in actions and a not in refused]
        self._watch.lap("messaging")
        frame = self._world.step(actions, missing=missing, refused=refused)
        self._watch.lap("physics")
        self._total_ticks += 1
        self._steps_allowed = max(0, self._steps_allowed - 1)
        self._node.set_status("running", tick=self._world.tick)
        self._publish_state(frame)
        self._publish_applied(frame)
        self._watch.lap("messaging")
        return frame

    def _gather_in_lockstep(self, frame: Frame) -> dict[str, Action]:
        """Publish the observations and wait until every agent has answered this tick."""
        leader, observations = self._leader, self._observation_messages(frame)
        leader.abandon((self._epoch, self._world.tick), time.monotonic())
        self._publish_observations(observations, leader.members)
        self._watch.lap("messaging")
        while not leader.complete and self._node.ok() and not (self._reset_wanted or self._stopped):
            self._node.spin(max(0.001, leader.next_retry() - time.monotonic()))
            self._watch.lap("waiting")
            self._take_actions()
            now = time.monotonic()
            self._publish_observations(observations, leader.due(now))
            overdue = self._overdue(leader.waited(now))
            if overdue:
                self._give_up_on(overdue)
                break
            self._watch.lap("messaging")
        return leader.answers()

    def _take_actions(self) -> None:
        for agent, subscription in self._actions.items():
            while (received := subscription.take()) is not None:
                action = received.message
                if action.leaving:
                    self._leader.leave(agent)
                elif self._leader.accept(agent, (action.epoch, action.tick), action) is Receipt.ACCEPTED:
                    self._heard.add(agent)

    def _overdue(self, waited_s: float) -> list[str]:
        """Return the agents whose deadline is over; one never heard has more time to start."""
        settings = self._settings
        return [
            agent
            for agent in self._leader.missing
            if waited_s > (settings.deadline_s if agent in self._heard else settings.start_deadline_s)
        ]

    def _give_up_on(self, agents: list[str]) -> None:
        where = f"tick {self._world.tick} of epoch {self._epoch}"
        if self._settings.on_missing == "error":
            msg = (
                f"lock-step: no action from {agents} for {where} within {self._settings.deadline_s} s; "
                "look at their logs, raise deadline_s, or set on_missing: fallback"
            )
            raise LockstepError(msg)
        log.warning("lock-step: no action from %s for %s; the fallback acts for them", agents, where)

    def _gather_by_clock(self, frame: Frame) -> dict[str, Action]:
        """Publish the observations, let one period pass, and take what came in time."""
        until = time.monotonic() + self._period_s
        self._leader.abandon((self._epoch, self._world.tick), time.monotonic())
        self._publish_observations(self._observation_messages(frame), self._leader.members)
        self._watch.lap("messaging")
        newest: dict[str, Action] = {}
        while (left := until - time.monotonic()) > 0 and self._node.ok() and not self._stopped:
            self._node.spin(left)
            self._watch.lap("waiting")
            for agent, subscription in self._actions.items():
                while (received := subscription.take()) is not None:
                    if received.message.leaving:
                        self._leader.leave(agent)
                    elif self._in_time(received.message):
                        newest[agent] = received.message
        return newest

    def _in_time(self, action: Action) -> bool:
        age = self._world.tick - action.tick
        return action.epoch == self._epoch and 0 <= age < self._settings.lifespan_ticks

    def _checked(self, answers: dict[str, Action]) -> tuple[dict[str, NDArray[np.generic]], list[str]]:
        """Return the usable actions, and the agents whose action is not in their space."""
        actions, refused = {}, []
        for agent, answer in answers.items():
            try:
                actions[agent] = checked_action(self._world.spec, agent, answer.action)
            except ActionError as error:
                log.warning("%s; refused, the fallback acts", error)
                refused.append(agent)
        return actions, refused

    def _observation_messages(self, frame: Frame) -> dict[str, Observation]:
        spec = self._world.spec
        assert frame.measured_ticks is not None
        finals = frame.final_observations
        return {
            agent: Observation(
                epoch=self._epoch,
                tick=self._world.tick,
                measured_tick=frame.measured_ticks[agent],
                obs=frame.observations[agent],
                reward=np.ascontiguousarray(frame.rewards[:, index]),
                terminated=frame.terminated,
                truncated=frame.truncated,
                mask=None if frame.masks is None else frame.masks[agent],
                final_obs=None if finals is None else finals[agent],
            )
            for index, agent in enumerate(spec.agents)
        }

    def _publish_observations(self, messages: dict[str, Observation], agents: tuple[str, ...]) -> None:
        for agent in agents:
            self._observations[agent].publish(messages[agent], time_s=self._world.time_s)

    def _publish_state(self, frame: Frame) -> None:
        assert frame.in_flight is not None
        spec, final = self._world.spec, None
        if frame.final_state is not None and frame.final_in_flight is not None:
            final = np.concatenate([frame.final_state, frame.final_in_flight], axis=1)
        metrics = np.zeros((spec.n_envs, len(spec.metric_names)), np.float32)
        for column, name in enumerate(spec.metric_names):
            if name in frame.info:
                metrics[:, column] = frame.info[name]
        state = GridState(
            epoch=self._epoch,
            tick=self._world.tick,
            state=frame.state,
            in_flight=frame.in_flight,
            rewards=frame.rewards,
            terminated=frame.terminated,
            truncated=frame.truncated,
            metrics=metrics,
            final_state=final,
        )
        self._history.append(state)
        self._state.publish(state, time_s=self._world.time_s)
        self._clock.publish(Clock(self._epoch, self._world.tick, self._world.time_s))

    def _publish_applied(self, frame: Frame) -> None:
        if frame.applied is None or frame.verdicts is None or frame.verdict_details is None:
            return
        tables = [as_rows(frame.applied[agent]) for agent in self._world.spec.agents]
        self._applied.publish(
            AppliedAction(
                epoch=self._epoch,
                tick=self._world.tick - 1,  # the tick that these actions answered
                verdicts=frame.verdicts,
                details=frame.verdict_details,
                actions=np.concatenate(tables, axis=1),
                widths=tuple(table.shape[1] for table in tables),
            ),
            time_s=self._world.time_s,
        )

    def _describe(self, frame: Frame) -> GridDescription:
        spec = self._world.spec
        config = json.dumps(asdict(replace(self._settings, run_dir=None)), sort_keys=True, default=str)
        return GridDescription(
            name=spec.name,
            epoch=self._epoch,
            n_envs=spec.n_envs,
            dt_s=spec.dt_s,
            agents=spec.agents,
            spaces=spaces_json(spec),
            features=features_json(spec),
            neighbours=json.dumps({a: list(spec.neighbours.get(a, ())) for a in spec.agents}),
            state_dim=len(spec.state_names),
            in_flight_dim=self._world.link.in_flight_dim,
            masked=frame.masks is not None,
            reasons=spec.reasons,
            partition=spec.partition,
            config=config,
            config_sha256=hashlib.sha256(config.encode()).hexdigest(),
            mode=self._settings.mode,
        )

    def _recall(self, request: HistoryRequest) -> GridState:
        for state in reversed(self._history):
            if (state.epoch, state.tick) == (request.epoch, request.tick):
                return state
        kept = [(s.epoch, s.tick) for s in (self._history[0], self._history[-1])] if self._history else []
        msg = (
            f"state of epoch {request.epoch}, tick {request.tick} is not kept; kept are {kept} (first, last)"
        )
        raise LookupError(msg)

    def _control(self, request: ControlRequest) -> ControlReply:
        arguments = json.loads(request.arguments)
        detail = ""
        match request.command:
            case "pause":
                self._paused = True
            case "resume":
                self._paused = False
            case "step":
                self._paused, self._steps_allowed = True, int(arguments.get("n", 1))
            case "reset":
                self._reset_wanted, self._reset_seed = True, arguments.get("seed")
            case "rate":
                self._set_rate(float(arguments["rate"]))
            case "link":
                self._world.set_link(LinkConfig.from_dict(arguments))
            case "stop":
                self._stopped = True
            case "status":
                detail = json.dumps({"left": self._leader.left, "missing": self._leader.missing})
            case unknown:
                commands = "pause, resume, step, reset, rate, link, status, stop"
                msg = f"/simulator/control: unknown command {unknown!r}, expected one of {commands}"
                raise OptionError(msg)
        return ControlReply(self._epoch, self._world.tick, self._paused, detail)

    def _set_rate(self, rate: float) -> None:
        if not rate > 0:
            msg = f"/simulator/control: rate is {rate!r}, expected simulated seconds per second > 0"
            raise OptionError(msg)
        self._period_s = self._world.spec.dt_s / rate

    def _write_timing(self) -> None:
        if self._settings.run_dir is not None:
            path = Path(self._settings.run_dir) / "timing" / f"{self._node.name}.json"
            facts: dict[str, Any] = {"ticks": self._total_ticks, "n_envs": self._world.spec.n_envs}
            self._watch.write(path, **facts)
