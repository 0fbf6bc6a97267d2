"""What the simulator tells the bus: the grid's description, every tick's state, what was applied."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

import numpy as np

from broker import Node, topics
from broker.messages import (
    AppliedAction,
    Clock,
    GridDescription,
    GridState,
    HistoryRequest,
    Observation,
)
from broker.services import HISTORY
from simulator.describe import features_json, spaces_json
from simulator.frame import Float32, Frame, GridSpec
from simulator.scada import as_rows
from simulator.settings import SimulatorSettings
from simulator.world import World


class Announcer:
    """Publishes one world, and keeps its latest states for those who missed some.

    Args:
        node: the connection to the broker.
        world: what is published.
        settings: part of the description.
    """

    def __init__(self, node: Node, world: World, settings: SimulatorSettings) -> None:
        self.epoch = 0
        self._world = world
        self._settings = settings
        self._in_flight_dim: int | None = None  # as promised to critics
        self._history: deque[GridState] = deque(maxlen=settings.history_ticks)
        self._description = node.publisher(topics.DESCRIPTION, GridDescription, latched=True)
        self._state = node.publisher(topics.STATE, GridState)
        self._applied = node.publisher(topics.APPLIED, AppliedAction)
        self._clock = node.publisher(topics.CLOCK, Clock)
        self._observations = {
            agent: node.publisher(topics.observation(agent), Observation) for agent in world.spec.agents
        }
        self._earlier = node.subscription(topics.DESCRIPTION, GridDescription, keep=1)
        node.server(HISTORY, self._recall)

    @property
    def in_flight_dim(self) -> int:
        """Return the promised number of columns of what the link holds.

        For good: a critic's network has as many inputs, even when the link is changed later.
        """
        if self._in_flight_dim is None:
            self._in_flight_dim = self._world.link.in_flight_dim
        return self._in_flight_dim

    def take_over(self, epoch: int) -> None:
        """Count on from an epoch, or from a later one of a simulator on this bus; the node must be ready."""
        received = self._earlier.take()
        self.epoch = max(epoch, 0 if received is None else received.message.epoch)

    def new_epoch(self, frame: Frame) -> None:
        """Tell everyone that the world has begun anew with `frame`."""
        self.epoch += 1
        self._history.clear()
        self._description.publish(
            _description(self._world.spec, self._settings, self.epoch, self.in_flight_dim, frame)
        )
        self._publish_state(frame)

    def tick_done(self, frame: Frame) -> None:
        """Tell everyone of a tick: its state, and what was done with the actions that led to it."""
        self._publish_state(frame)
        applied = _applied_action(self._world.spec, frame, self.epoch, self._world.tick - 1)
        if applied is not None:
            self._applied.publish(applied, time_s=self._world.time_s)

    def observations(self, frame: Frame) -> dict[str, Observation]:
        """Return what every agent is shown of a frame."""
        return _observations(self._world.spec, frame, self.epoch, self._world.tick)

    def show(self, observations: Mapping[str, Observation], agents: Iterable[str]) -> None:
        """Publish the observations of some agents."""
        for agent in agents:
            self._observations[agent].publish(observations[agent], time_s=self._world.time_s)

    def _publish_state(self, frame: Frame) -> None:
        tick, time_s = self._world.tick, self._world.time_s
        state = _grid_state(self._world.spec, frame, self.epoch, tick, self.in_flight_dim)
        self._history.append(state)
        self._state.publish(state, time_s=time_s)
        self._clock.publish(Clock(self.epoch, tick, time_s))

    def _recall(self, request: HistoryRequest) -> GridState:
        for state in reversed(self._history):
            if (state.epoch, state.tick) == (request.epoch, request.tick):
                return state
        kept = [(s.epoch, s.tick) for s in (self._history[0], self._history[-1])] if self._history else []
        msg = (
            f"state of epoch {request.epoch}, tick {request.tick} is not kept; kept are {kept} (first, last)"
        )
        raise LookupError(msg)


def _description(
    spec: GridSpec, settings: SimulatorSettings, epoch: int, in_flight_dim: int, frame: Frame
) -> GridDescription:
    config = json.dumps(asdict(replace(settings, run_dir=None)), sort_keys=True, default=str)
    return GridDescription(
        name=spec.name,
        epoch=epoch,
        n_envs=spec.n_envs,
        dt_s=spec.dt_s,
        agents=spec.agents,
        spaces=spaces_json(spec),
        features=features_json(spec),
        neighbours=json.dumps({a: list(spec.neighbours.get(a, ())) for a in spec.agents}),
        state_dim=len(spec.state_names),
        in_flight_dim=in_flight_dim,
        masked=frame.masks is not None,
        reasons=spec.reasons,
        partition=spec.partition,
        config=config,
        config_sha256=hashlib.sha256(config.encode()).hexdigest(),
        mode=settings.mode,
    )


def _observations(spec: GridSpec, frame: Frame, epoch: int, tick: int) -> dict[str, Observation]:
    assert frame.measured_ticks is not None
    finals = frame.final_observations
    return {
        agent: Observation(
            epoch=epoch,
            tick=tick,
            measured_tick=frame.measured_ticks[agent],
            obs=frame.observations[agent],
            reward=np.ascontiguousarray(frame.rewards[:, index]),
            terminated=frame.terminated,
            truncated=frame.truncated,
            mask=None if frame.masks is None else frame.masks.get(agent),
            final_obs=None if finals is None else finals[agent],
        )
        for index, agent in enumerate(spec.agents)
    }


def _grid_state(spec: GridSpec, frame: Frame, epoch: int, tick: int, in_flight_dim: int) -> GridState:
    assert frame.in_flight is not None
    final = None
    if frame.final_state is not None and frame.final_in_flight is not None:
        final_in_flight = _fitted(frame.final_in_flight, in_flight_dim)
        final = np.concatenate([frame.final_state, final_in_flight], axis=1)
    metrics = np.zeros((spec.n_envs, len(spec.metric_names)), np.float32)
    for column, name in enumerate(spec.metric_names):
        if name in frame.info:
            metrics[:, column] = frame.info[name]
    return GridState(
        epoch=epoch,
        tick=tick,
        state=frame.state,
        in_flight=_fitted(frame.in_flight, in_flight_dim),
        rewards=frame.rewards,
        terminated=frame.terminated,
        truncated=frame.truncated,
        metrics=metrics,
        final_state=final,
    )


def _applied_action(spec: GridSpec, frame: Frame, epoch: int, tick: int) -> AppliedAction | None:
    if frame.applied is None or frame.verdicts is None or frame.verdict_details is None:
        return None
    tables = [as_rows(frame.applied[agent]) for agent in spec.agents]
    return AppliedAction(
        epoch=epoch,
        tick=tick,
        verdicts=frame.verdicts,
        details=frame.verdict_details,
        actions=np.concatenate(tables, axis=1),
        widths=tuple(table.shape[1] for table in tables),
    )


def _fitted(table: Float32, width: int) -> Float32:
    """Return the first columns of a table, with columns of zeros where it has fewer."""
    if table.shape[1] >= width:
        return np.ascontiguousarray(table[:, :width])
    return np.pad(table, ((0, 0), (0, width - table.shape[1])))
