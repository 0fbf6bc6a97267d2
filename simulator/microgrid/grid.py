"""E copies of a microgrid as a Grid: agents set voltages, loads wander, a collapse ends the episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.actions import checked_actions
from simulator.frame import Actions, Float32, Frame, GridSpec, Verdict
from simulator.microgrid import dynamics
from simulator.microgrid.describe import describe, seen_dgs
from simulator.microgrid.loads import LoadPaths
from simulator.microgrid.observe import dg_features, feature_scales, standardized, state_columns, state_values
from simulator.microgrid.options import Options
from simulator.microgrid.render import Episode, picture
from simulator.microgrid.reward import dg_rewards, in_band, survives
from simulator.microgrid.seats import seats
from simulator.microgrid.setpoints import read_setpoints
from simulator.microgrid.types import Bool, Float, System
from simulator.partition import Partition


class MicrogridGrid:
    """One microgrid in E copies.

    Args:
        name: of the grid.
        system: its constants.
        options: in force.
        n_envs: E.
        seed: of all random loads, unless `reset` gives another.
        partition: clusters of DGs that are one agent each; None: every DG is an agent.
        copies_per_scenario: neighbouring copies that have the same loads.

    Raises:
        OptionError: the range of setpoints is empty.
        PartitionError: the partition does not fit the DGs.
    """

    def __init__(
        self,
        name: str,
        system: System,
        options: Options,
        n_envs: int,
        seed: int,
        partition: Partition | None,
        copies_per_scenario: int = 1,
    ) -> None:
        self._copies_per_scenario = copies_per_scenario
        self.system, self.options = system, options
        self._seats = seats(system, partition, options.graph)
        self._setpoints = read_setpoints(options, system)
        text = "" if partition is None else partition.text
        self._spec = describe(name, system, self._seats, self._setpoints, options, n_envs, text)
        self._seen = seen_dgs(self._seats, options)
        self._scales = feature_scales(system)
        self._state_scales = tuple(scale for _, scale in state_columns(system))
        self._loads = self._new_loads(seed)
        self._state = dynamics.init(system, n_envs)
        self._tick = np.zeros(n_envs, np.int64)
        self._episode = self._last_episode = Episode(system, options.tick_s)

    @property
    def spec(self) -> GridSpec:
        """Return the fixed description."""
        return self._spec

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts the random streams too."""
        if seed is not None:
            self._loads = self._new_loads(seed)
        n_envs = self._spec.n_envs
        self._begin(np.ones(n_envs, np.bool_))
        nothing = np.zeros(n_envs, np.bool_)
        rewards = np.zeros((n_envs, len(self._seats.names)), np.float32)
        observations, state = self._seen_now()
        return Frame(observations, None, state, rewards, nothing, nothing.copy(), info=self._metrics())

    def step(self, actions: Actions) -> Frame:
        """Advance all copies by one tick. Raises ActionError for actions outside their spaces."""
        checked = checked_actions(self._spec, actions)
        volts = self._setpoints.all_volts(self._seats, checked)
        self._tick += 1
        r_scale, l_scale = self._scales_now()
        self._state = dynamics.step(
            self.system, self._state, volts, r_scale, l_scale, self.options.tick_s,
            self.options.frequency_control, self.options.fidelity,
        )  # fmt: skip
        self._episode.add(self._state, volts)
        v = dynamics.bus_voltage(self.system, self._state)
        terminated: Bool = np.asarray(~survives(v).all(axis=1))
        truncated = (self._tick >= self.options.episode_ticks) & ~terminated
        rewards, info = self._rewards(v), self._metrics()
        observations, state = self._seen_now()
        final_observations, final_state = None, None
        done = terminated | truncated
        if done.any():
            final_observations, final_state = observations, state
            self._begin(done)
            observations, state = self._seen_now()
        shape = rewards.shape
        return Frame(
            observations, None, state, rewards, terminated, truncated, final_observations, final_state,
            verdicts=np.full(shape, Verdict.APPLIED, np.uint8),
            verdict_details=np.full(shape, -1, np.int32),
            info=info,
            applied=checked,
        )  # fmt: skip

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E, ...): the setpoints nearest to nominal."""
        n_dg = len(self._seats.members[self._seats.names.index(agent)])
        return self._setpoints.nominal(self._spec.n_envs, n_dg)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def render(self) -> bytes:
        """Return a PNG of copy 0's running episode, or of its last one where a new one has just begun."""
        begun = len(self._episode.v_setpoint) > 0
        return picture(self._episode if begun else self._last_episode)

    def _new_loads(self, seed: int) -> LoadPaths:
        o = self.options
        return LoadPaths(
            self._spec.n_envs,
            self.system.n_load,
            o.episode_ticks,
            o.load_spread,
            o.load_walk,
            seed,
            self._copies_per_scenario,
        )

    def _begin(self, copies: Bool) -> None:
        """Draw new loads for some copies and bring them up at nominal setpoints."""
        index = np.flatnonzero(copies)
        self._loads.draw(index)
        self._tick[index] = 0
        fresh = dynamics.init(self.system, len(index))
        if self.options.warm_up_s > 0:
            r_scale, l_scale = self._scales_now()
            nominal = np.full((len(index), self.system.n_dg), self.system.v_nom)
            fresh = dynamics.step(
                self.system, fresh, nominal, r_scale[index], l_scale[index], self.options.warm_up_s,
                secondary=False, fidelity=self.options.fidelity,
            )  # fmt: skip
        self._state = dynamics.put_rows(self._state, index, fresh)
        if copies[0]:
            self._last_episode = self._episode
            self._episode = Episode(self.system, self.options.tick_s)
            self._episode.add(self._state)

    def _scales_now(self) -> tuple[Float, Float]:
        """Return the load scales in force, (E, n_load) each."""
        copies = np.arange(self._spec.n_envs)
        return self._loads.r[copies, self._tick], self._loads.l[copies, self._tick]

    def _seen_now(self) -> tuple[dict[str, Float32], Float32]:
        """Return what each agent sees, and the global state."""
        features = dg_features(self.system, self._state)
        shown = standardized(features, self._scales)
        observations = {
            name: shown[:, dgs].reshape(len(shown), -1)
            for name, dgs in zip(self._seats.names, self._seen, strict=True)
        }
        values = state_values(self.system, self._state, features, *self._scales_now())
        return observations, standardized(values, self._state_scales)

    def _rewards(self, v: Float) -> Float32:
        """Return (E, n_agents): the mean over each agent's DGs, or over all."""
        earned = dg_rewards(v, v[:, self.system.dg_bus], self.options.collapse_reward)
        if self.options.reward == "shared":
            earned = np.repeat(earned.mean(axis=1, keepdims=True), self.system.n_dg, axis=1)
        means = [earned[:, dgs].mean(axis=1) for dgs in self._seats.members]
        return np.stack(means, axis=1).astype(np.float32)

    def _metrics(self) -> dict[str, NDArray[np.generic]]:
        v = np.nan_to_num(dynamics.bus_voltage(self.system, self._state))
        control = self.system.control
        omega = np.nan_to_num(self._state.omega_set[:, 0] - control.m_p[0] * self._state.p[:, 0])
        values = (v.min(axis=1), v.max(axis=1), in_band(v).mean(axis=1), omega / (2.0 * np.pi))
        return dict(zip(self._spec.metric_names, values, strict=True))
