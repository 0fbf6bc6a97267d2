"""A grid behind its SCADA link: what agents are shown, and what of their will arrives.

`World` is itself a Grid. One step is, in this order: commands are sent and what is due arrives;
where nothing arrived the grid's fallback acts; actions are smoothed; the physics advances; the new
state is measured and sent; what is due is shown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.actions import checked_action
from simulator.errors import ActionError, OptionError
from simulator.frame import Actions, Bool, Float32, Frame, GridSpec, Verdict
from simulator.grid import Grid
from simulator.link_config import LinkConfig
from simulator.scada import ScadaLink, Shown, as_rows


class World:
    """E copies of a grid, seen and acted on through a SCADA link.

    Args:
        grid: the bare physics.
        link: settings of the SCADA link.
        smoothing: ρ in [0, 1): an action a becomes ρ a_prev + (1 − ρ) a, for agents with Box actions
            (action smoothing of PowerNet, arXiv 2011.12354).
        seed: of the physics and the link, used by the first reset.
        copies_per_scenario: neighbouring copies for which the link draws the same once per episode.

    Raises:
        OptionError: the link names an unknown agent, or ρ is outside [0, 1).
    """

    def __init__(
        self,
        grid: Grid,
        link: LinkConfig,
        smoothing: float = 0.0,
        seed: int = 0,
        copies_per_scenario: int = 1,
    ) -> None:
        if not 0 <= smoothing < 1:
            msg = f"smoothing is {smoothing!r}, expected a number in [0, 1)"
            raise OptionError(msg)
        link.check_agents(grid.spec.agents)
        self.grid = grid
        self.smoothing = smoothing
        self.tick = 0
        self._config = link
        self._copies_per_scenario = copies_per_scenario
        self._seed: int | None = seed  # None once the streams of this seed are running
        self._spec = _world_spec(grid.spec, link)
        self._link: ScadaLink | None = None
        self._episode_tick = np.zeros(self._spec.n_envs, np.int64)
        self._previous: dict[str, Float32] = {}

    @property
    def spec(self) -> GridSpec:
        """Return the description of what agents see and do."""
        return self._spec

    @property
    def link(self) -> ScadaLink:
        """Return the link in force. Raises RuntimeError before the first reset."""
        if self._link is None:
            msg = f"grid '{self.spec.name}': step before reset; call reset() first"
            raise RuntimeError(msg)
        return self._link

    @property
    def time_s(self) -> float:
        """Return the simulation time since the last reset, in seconds."""
        return self.tick * self.spec.dt_s

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts all random streams too."""
        seed = self._seed if seed is None else seed
        frame = self.grid.reset(seed)
        if seed is not None:
            self._link_seed = seed
            self._link = self._new_link(self._config, seed, masked=frame.masks is not None)
            self._seed = None
        self.tick = 0
        self._start(np.ones(self.spec.n_envs, np.bool_), frame)
        return self._assembled(frame, self.link.shown(0))

    def step(self, actions: Actions, missing: Collection[str] = (), refused: Collection[str] = ()) -> Frame:
        """Advance all copies by one tick.

        Args:
            actions: agent -> (E,) or (E, d), for every agent that is neither missing nor refused.
            missing: agents of which nothing was heard; the fallback acts for them, or what their command
                channel holds (verdict LATE).
            refused: agents whose action was not in their space; likewise (verdict ILLEGAL).

        Raises:
            ActionError: an agent is missing or unknown, or its action is not in its space.
        """
        commands, late = self._received(self._checked(actions, {*missing, *refused}))
        frame = self.grid.step(commands)
        self.tick += 1
        self._episode_tick += 1
        self._measure(frame)
        shown = self.link.shown(self.tick)
        if frame.done.any():
            final_in_flight = self.link.in_flight(self.tick)
            frame = replace(frame, final_observations=shown.observations, final_in_flight=final_in_flight)
            self._start(frame.done, frame)
            shown = self.link.shown(self.tick)
        verdicts, details = self._verdicts(frame, late, refused)
        applied = frame.applied if frame.applied is not None else commands
        return self._assembled(
            replace(frame, verdicts=verdicts, verdict_details=details, applied=applied), shown
        )

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E, ...): the grid's own fallback."""
        return self.grid.fallback(agent)

    def set_link(self, config: LinkConfig) -> None:
        """Change the link while running: what was under way is lost.

        Agents keep what they were shown, as old as it is, and the grid the commands that it last received.

        Raises:
            OptionError: an unknown agent, or another `age_feature`, which would change the spaces; the link
                stays as it was.
        """
        config.check_agents(self.spec.agents)
        if config.age_feature != self._config.age_feature:
            msg = (
                "SCADA link: age_feature cannot change while running, it would change the observation spaces"
            )
            raise OptionError(msg)
        old = self.link
        new = self._new_link(config, self._link_seed + self.tick, masked=old.last_shown.masks is not None)
        new.take_over(old, self.tick)
        self._config, self._link = config, new

    def render(self) -> bytes | None:
        """Return a PNG of copy 0's latest episode; None where the grid cannot draw itself."""
        draw = getattr(self.grid, "render", None)
        return None if draw is None else bytes(draw())

    def close(self) -> None:
        """Close the grid."""
        self.grid.close()

    @property
    def _episode_s(self) -> NDArray[np.float64]:
        """Return (E,): time since each copy's episode began, in seconds."""
        return self._episode_tick.astype(np.float64) * self.spec.dt_s

    def _new_link(self, config: LinkConfig, seed: int, *, masked: bool) -> ScadaLink:
        return ScadaLink(config, self.grid.spec, masked, seed, self._copies_per_scenario)

    def _resting(self) -> dict[str, NDArray[np.generic]]:
        return {agent: self.grid.fallback(agent) for agent in self.spec.agents}

    def _start(self, copies: Bool, frame: Frame) -> None:
        """Begin episodes in some copies."""
        resting = self._resting()
        self._episode_tick[copies] = 0
        self.link.start(copies, frame.observations, frame.masks, resting, self.tick)
        for agent in self.spec.agents:
            if isinstance(self.spec.action_spaces[agent], spaces.Box):
                rest = as_rows(resting[agent])
                self._previous[agent] = np.where(copies[:, None], rest, self._previous.get(agent, rest))

    def _checked(self, actions: Actions, absent: Collection[str]) -> dict[str, NDArray[np.generic] | None]:
        unknown = sorted(set(actions) - set(self.spec.agents))
        silent = [a for a in self.spec.agents if a not in actions and a not in absent]
        if unknown or silent:
            msg = (
                f"grid '{self.spec.name}': actions for unknown agents {unknown} and none for {silent}; "
                f"expected one for each of {list(self.spec.agents)}"
            )
            raise ActionError(msg)
        return {
            a: None if a in absent else checked_action(self.spec, a, actions[a]) for a in self.spec.agents
        }

    def _received(
        self, sent: dict[str, NDArray[np.generic] | None]
    ) -> tuple[dict[str, NDArray[np.generic]], Bool]:
        """Return what arrives at the grid, and (E, n_agents): where no command did."""
        commands: dict[str, NDArray[np.generic]] = {}
        late = np.zeros((self.spec.n_envs, len(sent)), np.bool_)
        for index, (agent, action) in enumerate(sent.items()):
            rest = self.grid.fallback(agent)
            commands[agent], late[:, index] = self.link.command(
                agent, action, rest, self.tick, self._episode_s
            )
            if self.smoothing > 0 and agent in self._previous:
                rho = np.float32(self.smoothing)
                smoothed = rho * self._previous[agent] + (1 - rho) * as_rows(commands[agent])
                self._previous[agent] = smoothed
                commands[agent] = smoothed.reshape(rest.shape)
        return commands, late

    def _measure(self, frame: Frame) -> None:
        """Send this tick's measurements; a copy that ended sends the last one of its old episode."""
        observations = dict(frame.observations)
        if frame.final_observations is not None:
            done = frame.done[:, None]
            for agent, final in frame.final_observations.items():
                observations[agent] = np.where(done, final, observations[agent])
        self.link.measure(observations, frame.masks, self.tick, self._episode_s)

    def _verdicts(
        self, frame: Frame, late: Bool, refused: Collection[str]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        shape = late.shape
        verdicts = np.zeros(shape, np.uint8) if frame.verdicts is None else frame.verdicts.copy()
        details = (
            np.full(shape, -1, np.int32) if frame.verdict_details is None else frame.verdict_details.copy()
        )
        verdicts[late], details[late] = Verdict.LATE, -1
        for agent in refused:
            column = self.spec.agents.index(agent)
            verdicts[:, column], details[:, column] = Verdict.ILLEGAL, len(self.spec.reasons) - 1
        return verdicts, details

    def _assembled(self, frame: Frame, shown: Shown) -> Frame:
        return replace(
            frame,
            observations=shown.observations,
            masks=shown.masks,
            measured_ticks=shown.measured_ticks,
            in_flight=self.link.in_flight(self.tick),
        )


def _world_spec(spec: GridSpec, link: LinkConfig) -> GridSpec:
    """Return the grid's description as agents meet it behind the link."""
    spec = replace(spec, reasons=(*spec.reasons, "refused: not in the agent's action space"))
    if not link.age_feature:
        return spec
    return replace(
        spec,
        observation_spaces={a: _with_age(space) for a, space in spec.observation_spaces.items()},
        observation_names={a: (*names, "measurement_age") for a, names in spec.observation_names.items()},
        observation_units={a: (*units, "ticks") for a, units in spec.observation_units.items()},
    )


def _with_age(space: spaces.Box) -> spaces.Box:
    low = np.append(space.low, np.float32(0.0))
    high = np.append(space.high, np.float32(np.inf))
    return spaces.Box(low, high, dtype=np.float32)
