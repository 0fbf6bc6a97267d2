"""A grid2op environment as a `Grid`: E copies, one agent (or two) per cluster, one joint action per copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.errors import ActionError, OptionError
from simulator.frame import Actions, Bool, Float32, Frame, GridSpec, Verdict
from simulator.transmission.agents import Agent, build_agents, build_spec
from simulator.transmission.arbiter import Arbiter
from simulator.transmission.clusters import assign, choose_partition, whole_grid
from simulator.transmission.copies import Copies, LocalCopies
from simulator.transmission.environment import describe, make_environment
from simulator.transmission.masks import LEGAL, Reason, Rules, Situation
from simulator.transmission.metrics import Meter, Metrics
from simulator.transmission.observe import Features
from simulator.transmission.options import Options
from simulator.transmission.reward import Rewards
from simulator.transmission.types import Int, Layout, Tick
from simulator.transmission.workers import WorkerCopies

Commands = list[dict[str, NDArray[Any]]]
Choice = tuple[str, int]  # an agent and an action out of its catalogue


class TransmissionGrid:
    """E copies of a grid2op environment; see `simulator.grid.Grid`."""

    def __init__(
        self, environment: str, n_envs: int, seed: int, options: Options, copies_per_scenario: int = 1
    ) -> None:
        env = make_environment(environment, options)
        system = describe(env, environment)
        partition = choose_partition(environment, options.partition) or whole_grid(system)
        clusters = assign(system, partition)
        self._options, self._system, self._layout = options, system, Layout(system)
        self._agents = build_agents(env, system, clusters, options)
        self._features = Features(system, clusters, border=options.border)
        self._rewards = Rewards(system, clusters, options, [agent.cluster for agent in self._agents])
        self._meter = Meter(system)
        catalogues = tuple(agent.catalogue for agent in self._agents)
        self._rules = Rules(system, catalogues)
        self._arbiter = Arbiter(system, self._rules, catalogues)
        self._lines_of = [np.flatnonzero(clusters.line == agent.cluster) for agent in self._agents]
        self._spec = build_spec(n_envs, system, clusters, partition, self._agents, self._features, options)
        self._copies: Copies
        if options.workers:
            env.close()
            self._copies = WorkerCopies(environment, options, n_envs, seed, copies_per_scenario)
        else:
            streams = [copy // copies_per_scenario for copy in range(n_envs)]
            self._copies = LocalCopies(env, system, options, streams, n_envs // copies_per_scenario, seed)
        self._rows = np.zeros((n_envs, self._layout.width), np.float32)  # where the copies are
        self._enter(self._rows)

    @property
    def spec(self) -> GridSpec:
        """Return the fixed description."""
        return self._spec

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts the random streams too."""
        tick = self._copies.reset(seed)
        self._enter(tick.now)
        e, n = len(tick.now), len(self._agents)
        never = np.zeros(e, dtype=bool)
        state = self._features.state(tick.now)
        return Frame(
            observations=self._split(state), masks=self._masks(), state=state,
            rewards=np.zeros((e, n), np.float32), terminated=never, truncated=never.copy(),
            info=self._meter.after_reset(tick),
        )  # fmt: skip

    def step(self, actions: Actions) -> Frame:
        """Advance all copies by one tick (the contract is in `simulator.grid.Grid`)."""
        self._check(actions)
        asked = self._asked
        commands, applied, verdicts, details = self._decide(actions)
        reconnections = self._reconnect(commands)
        tick = self._copies.step(commands)
        acted = self._active(applied)
        refused = acted & tick.refused[:, None]
        verdicts[refused], details[refused] = Verdict.ILLEGAL, Reason.REFUSED
        for index, agent in enumerate(self._agents):
            applied[agent.name][refused[:, index]] = self._neutral(agent)[refused[:, index]]
        changed = [agent.changes(applied[agent.name], self._rows, self._layout) for agent in self._agents]
        info = self._meter.after_step(tick, asked, np.sum(changed, axis=0), verdicts, details, reconnections)
        self._enter(tick.now)
        return self._frame(tick, applied, verdicts, details, info)

    def masks(self) -> Mapping[str, Bool]:
        """Return (E, A) of every topology agent: what the rules and the gate allow now, without delay."""
        return self._masks() or {}

    def look_ahead(self, tries: Sequence[Sequence[Choice]]) -> list[NDArray[np.float64]]:
        """Return the largest rho that grid2op forecasts one step after each choice, tried alone.

        Args:
            tries: for every copy the choices to try, none of them changing anything.

        Returns:
            for every copy (n,) rho; infinite where the game would be over.

        Raises:
            OptionError: the grid was made without forecasts.
        """
        if not self._options.forecasts:
            msg = f"{self._spec.name}: looks ahead only with the option forecasts=true"
            raise OptionError(msg)
        return self._copies.look_ahead([[self._command(choice) for choice in some] for some in tries])

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E,) zeros (do nothing), or (E, d) controls that change nothing."""
        return self._neutral(self._agents[self._spec.agents.index(agent)])

    def close(self) -> None:
        """Close the environments and worker processes; safe to call twice."""
        self._copies.close()

    def _enter(self, rows: Float32) -> None:
        """Work out what holds in the situation that agents act on next."""
        self._rows = rows
        self._now = Situation.read(rows, self._layout)
        self._legal = self._rules.verdicts(self._now)
        rho = self._layout.view(rows, "rho")
        self._asked: Bool = rho.max(axis=1) >= self._options.gate
        self._priority = np.stack(
            [rho[:, lines].max(axis=1, initial=0.0) for lines in self._lines_of], axis=1
        )

    def _masks(self) -> Mapping[str, Bool] | None:
        masks = {}
        for index, agent in enumerate(self._agents):
            if agent.catalogue is not None:
                mask = (self._legal == LEGAL)[:, self._rules.columns(index)]
                mask[~self._asked, 1:] = False
                masks[agent.name] = mask
        return masks or None

    def _split(self, state: Float32) -> dict[str, Float32]:
        return {agent.name: state[:, self._features.columns(agent.cluster)] for agent in self._agents}

    def _neutral(self, agent: Agent) -> NDArray[Any]:
        if agent.controls is None:
            return np.zeros(len(self._rows), np.int64)
        return agent.controls.neutral(self._rows, self._layout)

    def _decide(
        self, actions: Actions
    ) -> tuple[Commands, dict[str, NDArray[Any]], NDArray[np.uint8], NDArray[np.int32]]:
        """Return commands, what is applied of every agent, verdicts and their details."""
        proposals = np.zeros((len(self._rows), len(self._agents)), np.int64)
        legality = np.full(proposals.shape, LEGAL, np.int64)
        for index, agent in enumerate(self._agents):
            if agent.catalogue is not None:
                proposals[:, index] = actions[agent.name]
                legality[:, index] = self._legality(index, proposals[:, index])
            else:
                legality[~self._asked, index] = Reason.NOT_ASKED
        decision = self._arbiter.decide(proposals, legality, self._now, self._priority)
        commands: Commands = [{} for _ in self._rows]
        applied: dict[str, NDArray[Any]] = {}
        for index, agent in enumerate(self._agents):
            if agent.catalogue is not None:
                applied[agent.name] = decision.accepted[:, index]
                for copy in np.flatnonzero(decision.accepted[:, index]):
                    agent.catalogue.write(int(decision.accepted[copy, index]), commands[copy], self._system)
            else:
                applied[agent.name] = self._control(agent, actions[agent.name], commands)
        return commands, applied, decision.verdicts, decision.details

    def _command(self, choice: Choice) -> dict[str, NDArray[Any]]:
        command: dict[str, NDArray[Any]] = {}
        catalogue = self._agents[self._spec.agents.index(choice[0])].catalogue
        if catalogue is not None and choice[1]:
            catalogue.write(choice[1], command, self._system)
        return command

    def _legality(self, index: int, proposals: Int) -> Int:
        legality = self._legal[np.arange(len(proposals)), self._rules.columns(index)[proposals]]
        legality[~self._asked & (proposals != 0)] = Reason.NOT_ASKED
        return legality

    def _control(self, agent: Agent, actions: NDArray[np.generic], commands: Commands) -> NDArray[Any]:
        """Write an agent's continuous actions to the commands of the copies that ask; return what applies."""
        assert agent.controls is not None
        own = agent.controls.limit(np.asarray(actions, np.float32), self._rows, self._layout, self._system)
        applied = np.where(self._asked[:, None], own, agent.controls.neutral(self._rows, self._layout))
        for copy in np.flatnonzero(self._asked):
            agent.controls.write(own[copy], commands[copy], self._system)
        return applied

    def _active(self, applied: Mapping[str, NDArray[Any]]) -> Bool:
        """Return (E, n_agents): True where an agent does not do nothing."""
        columns = []
        for agent in self._agents:
            mine = applied[agent.name]
            if agent.controls is not None:
                mine = np.any(mine != self._neutral(agent), axis=1)
            columns.append(mine != 0)
        return np.stack(columns, axis=1)

    def _reconnect(self, commands: Commands) -> Int:
        """Where agents are not asked, reconnect the first lines that may be; return (E,) how many."""
        count = np.zeros(len(self._rows), np.int64)
        if not self._options.auto_reconnect or not self._system.max_lines:
            return count
        may = ~self._now.connected & ~self._now.line_cooldown & ~self._asked[:, None]
        for copy in np.flatnonzero(may.any(axis=1)):
            lines = np.flatnonzero(may[copy])[: self._system.max_lines]
            commands[copy]["set_line_status"] = np.zeros(self._system.n_line, np.int32)
            commands[copy]["set_line_status"][lines] = 1
            count[copy] = len(lines)
        return count

    def _frame(
        self,
        tick: Tick,
        applied: Actions,
        verdicts: NDArray[np.uint8],
        details: NDArray[np.int32],
        info: Metrics,
    ) -> Frame:
        state = self._features.state(tick.now)
        final_state, final = None, None
        if tick.done.any():
            final_state = np.zeros_like(state)
            final_state[tick.done] = self._features.state(tick.last[tick.done])
            final = self._split(final_state)
        return Frame(
            observations=self._split(state), masks=self._masks(), state=state,
            rewards=self._rewards.of(tick.last, tick.terminated), terminated=tick.terminated,
            truncated=tick.truncated, final_observations=final, final_state=final_state, verdicts=verdicts,
            verdict_details=details, info=info, applied=applied,
        )  # fmt: skip

    def _check(self, actions: Actions) -> None:
        if set(actions) != set(self._spec.agents):
            got, expected = sorted(actions), sorted(self._spec.agents)
            msg = f"{self._spec.name}: actions for agents {got}, expected {expected}"
            raise ActionError(msg)
        for agent in self._agents:
            agent.check(np.asarray(actions[agent.name]), len(self._rows))
