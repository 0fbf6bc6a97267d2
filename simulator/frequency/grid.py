"""E copies of the frequency grid as agents meet it: one tick is move, disturb, advance, judge, show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.actions import checked_actions
from simulator.frame import Actions, Bool, Float32, Frame, GridSpec
from simulator.frequency import case68, dynamics, observe, reward, units
from simulator.frequency.case_files import DATA
from simulator.frequency.disturbances import Disturbances
from simulator.frequency.grouping import groups, merged_neighbours
from simulator.frequency.options import Options
from simulator.frequency.recorder import Recorder
from simulator.frequency.types import Case, Float, State

DT_S = 2.0
METRICS = (
    "reward_frequency", "reward_control", "reward_wear", "reward_violation", "worst_df_hz", "mean_df_hz",
    "within_0.2_hz", "within_0.5_hz", "buses_outside", "contingencies",
)  # fmt: skip


class FrequencyGrid:
    """The grid family `frequency68` without a SCADA link.

    Args:
        n_envs: E.
        seed: of everything random, used by the first reset.
        options: see Options.
        case: tables, in place of those of `options.case`.
        copies_per_scenario: neighbouring copies that share their random streams.

    Raises:
        CaseError, OptionError, PartitionError: what was asked for does not make a grid.
    """

    def __init__(
        self,
        n_envs: int,
        seed: int,
        options: Options,
        case: Case | None = None,
        copies_per_scenario: int = 1,
    ) -> None:
        if case is None:
            case = case68.load(Path(options.case) if options.case else DATA)
        self.options = options
        self.system = case68.system(
            options.demand_mw, options.inertia_factor, options.governor_share, options.flow,
            options.integration_step_s, case,
        )  # fmt: skip
        self.fleet = case68.fleet(case, self.system.base_mva)
        self._view = observe.view(self.system, self.fleet, options)
        self._agents, text = groups(self.fleet.names, options.partition)
        order = {name: i for i, name in enumerate(self.fleet.names)}
        self._columns = {agent: [order[u] for u in names] for agent, names in self._agents.items()}
        self._spec = self._make_spec(n_envs, text)
        self._seed = seed
        self._episode = np.full(n_envs, -1, dtype=np.int64)
        self._around = Disturbances(self.system, self.fleet, options, n_envs, DT_S, copies_per_scenario)
        self._state = dynamics.init(self.system, n_envs)
        self._units = units.at_start(self.fleet, n_envs, options.battery_soc)
        self._recorder = Recorder()

    @property
    def spec(self) -> GridSpec:
        """Return the fixed description."""
        return self._spec

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts the random streams too."""
        if seed is not None:
            self._seed = seed
            self._episode[:] = -1
        everywhere = np.ones(self.spec.n_envs, np.bool_)
        self._begin(everywhere)
        bus_df_hz = self._bus_df_hz()
        observations, state = self._shown(bus_df_hz)
        nowhere = np.zeros_like(everywhere)
        none = np.zeros((self.spec.n_envs, len(self.spec.agents)), np.float32)
        return Frame(observations, None, state, none, nowhere, nowhere.copy())

    def step(self, actions: Actions) -> Frame:
        """Advance all copies by one tick of 2 s. Raises ActionError; RuntimeError before the first reset."""
        if self._episode[0] < 0:
            msg = "grid 'frequency68': step before reset; call reset() first"
            raise RuntimeError(msg)
        before = self._units.output_mw
        self._units = self._moved(actions)
        self._around.advance()
        path = self._advance_physics()
        bus_df_hz = self._bus_df_hz()
        moved_mw = self._units.output_mw - before
        went = reward.excursion(self.system, self._state, path, bus_df_hz)
        parts = reward.parts(self.fleet, bus_df_hz, moved_mw, went.outside)
        truncated = ~went.lost & (self._around.tick >= self.options.episode_ticks)
        info = self._metrics(parts, went, bus_df_hz)
        self._recorder.add(self.fleet, self._around, self._units, bus_df_hz, parts)
        observations, state = self._shown(bus_df_hz)
        done, final, final_state = went.lost | truncated, None, None
        if done.any():
            final, final_state = observations, state
            self._begin(done)
            observations, state = self._shown(self._bus_df_hz())
        rewards = np.repeat(parts.reward.astype(np.float32)[:, None], len(self.spec.agents), axis=1)
        shape = rewards.shape
        return Frame(
            observations, None, state, rewards, went.lost, truncated, final, final_state,
            verdicts=np.zeros(shape, np.uint8), verdict_details=np.full(shape, -1, np.int32), info=info,
            applied=self._applied(moved_mw),
        )  # fmt: skip

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E, d) zeros: hold the output."""
        return np.zeros((self.spec.n_envs, *self.spec.action_spaces[agent].shape), np.float32)  # type: ignore[misc]

    def render(self) -> bytes:
        """Return a PNG of copy 0: its last finished episode, or what there is of its first."""
        from simulator.frequency.render import picture  # matplotlib is slow to import, and seldom needed

        return picture(self.system, self.fleet, self._recorder.episode(), DT_S)

    def close(self) -> None:
        """Do nothing: the grid holds only memory."""

    def _begin(self, copies: Bool) -> None:
        """Put some copies at the start of their next episode."""
        self._episode[copies] += 1
        self._around.start(copies, self._seed, self._episode)
        fresh = dynamics.init(self.system, len(copies))
        start = units.at_start(self.fleet, len(copies), self.options.battery_soc)
        here = copies[:, None]
        self._state = type(fresh)(
            delta=np.where(here, fresh.delta, self._state.delta),
            omega=np.where(here, fresh.omega, self._state.omega),
            governor=np.where(here, fresh.governor, self._state.governor),
            branch_out=np.where(copies, fresh.branch_out, self._state.branch_out),
        )
        self._units = units.UnitState(
            np.where(here, start.output_mw, self._units.output_mw), np.where(here, start.soc, self._units.soc)
        )
        if copies[0]:
            self._recorder.end_episode()

    def _moved(self, actions: Actions) -> units.UnitState:
        table = np.empty((self.spec.n_envs, len(self.fleet.names)))
        for agent, action in checked_actions(self.spec, actions).items():
            table[:, self._columns[agent]] = action
        return units.move(self.fleet, self._units, table, DT_S, self.options.battery_mwh)

    def _advance_physics(self) -> Float:
        around, system = self._around, self.system
        p_bus, p_machine = units.injections(self.fleet, self._units, system.n_bus, system.n_machine)
        p_bus -= around.load_mw - system.load_mw
        p_bus[:, self.fleet.renewable_bus] += around.renewable_mw - around.renewable_mean_mw
        p_machine -= around.machine_lost_mw
        state = State(self._state.delta, self._state.omega, self._state.governor, around.branch_out.copy())
        self._state, path = dynamics.advance(system, state, p_bus, DT_S, p_machine, reward.N_INSTANTS)
        return path

    def _bus_df_hz(self) -> Float:
        speed = dynamics.bus_speed(self.system, self._state.branch_out, self._state.omega)
        return speed * self.system.nominal_hz

    def _shown(self, bus_df_hz: Float) -> tuple[dict[str, Float32], Float32]:
        about = (self.system, self.fleet, self._view, self._around, self._units, bus_df_hz)
        seen = observe.observations(*about)
        by_agent = {
            agent: seen[columns[0]] if len(columns) == 1 else np.concatenate(seen[columns], axis=1)
            for agent, columns in self._columns.items()
        }
        return by_agent, observe.global_state(*about, self.options)

    def _applied(self, moved_mw: Float) -> dict[str, NDArray[np.generic]]:
        share = (moved_mw / (self.fleet.ramp * DT_S / 60.0)).astype(np.float32)
        return {agent: share[:, columns] for agent, columns in self._columns.items()}

    def _metrics(
        self, parts: reward.Parts, went: reward.Excursion, bus_df_hz: Float
    ) -> dict[str, NDArray[np.generic]]:
        values = (
            -parts.frequency, -parts.control, -parts.wear, -parts.violation, went.worst_hz,
            bus_df_hz.mean(axis=1), went.worst_hz <= reward.GOOD_HZ, went.worst_hz <= reward.BAND_HZ,
            went.outside, self._around.active,
        )  # fmt: skip
        return {name: value.astype(np.float32) for name, value in zip(METRICS, values, strict=True)}

    def _make_spec(self, n_envs: int, partition: str) -> GridSpec:
        names, feature_units = zip(*observe.FEATURES, strict=True)
        agents = self._agents
        return GridSpec(
            name="frequency68",
            agents=tuple(agents),
            n_envs=n_envs,
            dt_s=DT_S,
            state_names=self._view.names,
            state_units=self._view.units,
            observation_names={a: _prefixed(names, u) for a, u in agents.items()},
            observation_units={a: tuple(feature_units) * len(u) for a, u in agents.items()},
            observation_spaces={a: _box(np.inf, len(u) * len(names)) for a, u in agents.items()},
            action_spaces={a: _box(1.0, len(u)) for a, u in agents.items()},
            action_names={a: tuple(f"ramp_{name}" for name in u) for a, u in agents.items()},
            metric_names=METRICS,
            neighbours=merged_neighbours(agents, observe.neighbours(self.system, self.fleet)),
            partition=partition,
            options=self.options.as_json(),
        )


def _prefixed(names: tuple[str, ...], unit_names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the features of an agent; with several units each feature says whose it is."""
    if len(unit_names) == 1:
        return names
    return tuple(f"{unit}/{name}" for unit in unit_names for name in names)


def _box(bound: float, size: int) -> spaces.Box:
    return spaces.Box(-bound, bound, (size,), np.float32)
