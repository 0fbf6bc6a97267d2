"""The SCADA link: the channels of all agents, measurements up and commands down.

A direction that passes everything unchanged and at once has no channel and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.actions import action_width
from simulator.channel import Channel, Streams
from simulator.errors import OptionError
from simulator.frame import Actions, Bool, Float32, GridSpec
from simulator.link_config import ChannelConfig, LinkConfig

_MEASUREMENT, _COMMAND = 0, 1


@dataclass(frozen=True)
class Shown:
    """What all agents are shown at one tick."""

    observations: dict[str, Float32]  # agent -> (E, d)
    masks: dict[str, Bool] | None  # agent -> (E, n)
    measured_ticks: dict[str, NDArray[np.int64]]  # agent -> (E,)


class ScadaLink:
    """All channels of one grid.

    Args:
        config: the settings.
        spec: the bare grid's description.
        masked: whether observations come with action masks.
        seed: of delays, losses and noise; every channel has a stream of its own.
        copies_per_scenario: neighbouring copies that share what is drawn once per episode.
    """

    def __init__(
        self, config: LinkConfig, spec: GridSpec, masked: bool, seed: int, copies_per_scenario: int = 1
    ) -> None:
        self.config = config
        self._spec = spec
        self._up: dict[str, Channel] = {}
        self._down: dict[str, Channel] = {}
        self._direct: dict[str, NDArray[np.generic]] = {}  # agent without a command channel -> last command
        self._last_shown = Shown({}, None, {})  # without the age feature
        self._now: dict[str, Float32] = {}
        self._now_masks: Mapping[str, Bool] | None = None
        for index, agent in enumerate(spec.agents):
            link = config.of(agent)
            if not link.measurement.transparent:
                streams = self._streams(seed, index, _MEASUREMENT, copies_per_scenario)
                self._up[agent] = self._measurement_channel(link.measurement, agent, masked, streams)
            if not link.command.transparent:
                streams = self._streams(seed, index, _COMMAND, copies_per_scenario)
                self._down[agent] = self._command_channel(link.command, agent, streams)

    def start(
        self,
        copies: Bool,
        observations: Mapping[str, Float32],
        masks: Mapping[str, Bool] | None,
        resting: Actions,
        tick: int,
    ) -> None:
        """Begin episodes in some copies: the first measurement is known at once, commands rest."""
        self._now, self._now_masks = dict(observations), masks
        for agent, up in self._up.items():
            up.prime(copies, self._row(agent, observations, masks), tick)
        for agent in self._spec.agents:
            rest = as_rows(resting[agent])
            if agent in self._down:
                self._down[agent].prime(copies, rest, tick - 1)
            else:
                last = as_rows(self._direct.get(agent, rest))
                self._direct[agent] = np.where(copies[:, None], rest, last)

    def take_over(self, old: ScadaLink, tick: int) -> None:
        """Go on from another link, which has shown this tick: what is under way in it is lost.

        Agents keep what they were shown, as old as it is, and the grid the commands that it last received.
        """
        every, shown = np.ones(self._spec.n_envs, np.bool_), old.last_shown
        self._last_shown, self._now, self._now_masks = shown, dict(shown.observations), shown.masks
        for agent, up in self._up.items():
            up.prime(every, self._row(agent, self._now, shown.masks), shown.measured_ticks[agent])
        for agent in self._spec.agents:
            if agent in self._down:
                self._down[agent].prime(every, old.last_command(agent), tick - 1)
            else:
                self._direct[agent] = old.last_command(agent)

    @property
    def last_shown(self) -> Shown:
        """Return what agents were shown last, without the age feature."""
        return self._last_shown

    def last_command(self, agent: str) -> Float32:
        """Return (E, d): what the grid last received of an agent, or what it began with."""
        return self._down[agent].held if agent in self._down else as_rows(self._direct[agent])

    def measure(
        self,
        observations: Mapping[str, Float32],
        masks: Mapping[str, Bool] | None,
        tick: int,
        time_s: NDArray[np.float64],
    ) -> None:
        """Send the measurements of this tick on their way; `time_s` (E,) is the episodes' time."""
        self._now, self._now_masks = dict(observations), masks
        for agent, up in self._up.items():
            up.send(self._row(agent, observations, masks), tick, time_s)

    def shown(self, tick: int) -> Shown:
        """Return what every agent is shown at this tick."""
        now = np.full(self._spec.n_envs, tick, np.int64)
        observations = dict(self._now)
        masks = dict(self._now_masks) if self._now_masks is not None else None
        ticks = dict.fromkeys(self._spec.agents, now)
        for agent, up in self._up.items():
            delivery = up.receive(tick)
            width = observations[agent].shape[1]
            observations[agent] = delivery.values[:, :width]
            ticks[agent] = delivery.sent_tick
            if masks is not None and agent in masks:
                masks[agent] = delivery.values[:, width:] > 0.5
        self._last_shown = Shown(observations, masks, ticks)
        return self._with_age(tick) if self.config.age_feature else self._last_shown

    def command(
        self, agent: str, action: NDArray[np.generic] | None, resting: NDArray[np.generic], tick: int,
        time_s: NDArray[np.float64],
    ) -> tuple[NDArray[np.generic], Bool]:  # fmt: skip
        """Send one agent's command and return what the grid receives of it at this tick.

        Args:
            agent: whose command.
            action: (E,) or (E, d); None if the agent sent none.
            resting: the grid's fallback of the same shape.
            tick: the current tick.
            time_s: (E,) time of the episodes.

        Returns:
            the received action, and (E,): where for want of a command `resting` had to stand in, or the one
            before was held.
        """
        if agent not in self._down:
            late = np.full(self._spec.n_envs, action is None)
            if action is not None:
                self._direct[agent] = action
                return action, late
            if self.config.of(agent).command.on_missing == "default":
                return resting, late
            return self._as_action(agent, as_rows(self._direct[agent]), resting), late
        channel = self._down[agent]
        if action is not None:
            channel.send(as_rows(action), tick, time_s)
        delivery = channel.receive(tick)
        rows, late = delivery.values, ~delivery.fresh
        if channel.config.on_missing == "default":
            rows = np.where(late[:, None], as_rows(resting), rows)
        return self._as_action(agent, rows, resting), late

    @property
    def in_flight_dim(self) -> int:
        """Return the number of columns of `in_flight`."""
        return sum(channel.in_flight_dim for channel in (*self._up.values(), *self._down.values()))

    def in_flight(self, tick: int) -> Float32:
        """Return (E, in_flight_dim): what is under way in all channels, measurements first.

        Measurements of this tick are under way already; the newest commands are those of the tick before.
        """
        tables = [channel.in_flight(tick) for channel in self._up.values()]
        tables += [channel.in_flight(tick - 1) for channel in self._down.values()]
        return np.concatenate([np.zeros((self._spec.n_envs, 0), np.float32), *tables], axis=1)

    def _as_action(self, agent: str, rows: Float32, like: NDArray[np.generic]) -> NDArray[np.generic]:
        space = self._spec.action_spaces[agent]
        if isinstance(space, spaces.Box):
            return np.clip(rows.reshape(like.shape), space.low, space.high)
        return np.rint(rows).astype(np.int64).reshape(like.shape)

    def _with_age(self, tick: int) -> Shown:
        shown, observations = self._last_shown, {}
        for agent, rows in shown.observations.items():
            age = (tick - shown.measured_ticks[agent]).astype(np.float32)[:, None]
            observations[agent] = np.concatenate([rows, age], axis=1)
        return Shown(observations, shown.masks, shown.measured_ticks)

    def _row(
        self, agent: str, observations: Mapping[str, Float32], masks: Mapping[str, Bool] | None
    ) -> Float32:
        if masks is None or agent not in masks:
            return observations[agent]
        return np.concatenate([observations[agent], masks[agent].astype(np.float32)], axis=1)

    def _streams(self, seed: int, index: int, way: int, copies_per_scenario: int) -> Streams:
        """Return streams that no grid has: their keys have at most two words, these three and four."""
        n_agents = len(self._spec.agents)  # the number of no agent: what is drawn once per episode is for all
        return Streams(
            np.random.SeedSequence(seed, spawn_key=(index, way, 0)),
            np.random.SeedSequence(seed, spawn_key=(n_agents, way)),
            copies_per_scenario,
        )

    def _measurement_channel(
        self, config: ChannelConfig, agent: str, masked: bool, streams: Streams
    ) -> Channel:
        shown = int(self._spec.observation_spaces[agent].shape[0])
        space = self._spec.action_spaces[agent]
        extra = int(space.n) if masked and isinstance(space, spaces.Discrete) else 0
        return Channel(config, shown + extra, self._spec.n_envs, self._spec.dt_s, streams, analog=shown)

    def _command_channel(self, config: ChannelConfig, agent: str, streams: Streams) -> Channel:
        space = self._spec.action_spaces[agent]
        distorts = config.noise_std + config.quantum + config.deadband > 0
        if distorts and not isinstance(space, spaces.Box):
            msg = (
                f"SCADA link: command of {agent} has noise_std, quantum or deadband, expected none of them: "
                f"its actions are choices ({space}), not quantities"
            )
            raise OptionError(msg)
        return Channel(config, action_width(space), self._spec.n_envs, self._spec.dt_s, streams)


def as_rows(action: NDArray[np.generic]) -> Float32:
    """Return an action (E,) or (E, d) as a float table (E, d)."""
    return action.reshape(len(action), -1).astype(np.float32)
