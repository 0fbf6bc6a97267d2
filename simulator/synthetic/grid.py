"""E copies of a factored Markov decision process as a Grid: one agent per block."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.actions import checked_actions
from simulator.frame import Actions, Frame, GridSpec
from simulator.partition import FORMAT
from simulator.synthetic import dynamics
from simulator.synthetic.observe import agent_names, local_views
from simulator.synthetic.options import Options
from simulator.synthetic.reward import block_rewards
from simulator.synthetic.types import Float, Noise, State, System

_BOUND = 10.0  # of observations: values in [0, 1] plus noise


class SyntheticGrid:
    """E independent copies that step together; each episode lasts `max_steps`."""

    def __init__(self, options: Options, n_envs: int, seed: int, copies_per_scenario: int = 1) -> None:
        self.system = options.system()
        self._n_scenarios = n_envs // copies_per_scenario
        self._copies_per_scenario = copies_per_scenario
        self._max_steps = options.max_steps
        self._rng = np.random.default_rng(seed)
        self._spec = _describe(self.system, options, n_envs)
        self._state = self._fresh_state()
        self._tick = 0

    @property
    def spec(self) -> GridSpec:
        """Return the fixed description."""
        return self._spec

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts the random stream."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._state = self._fresh_state()
        self._tick = 0
        rewards = np.zeros((self._spec.n_envs, self.system.n_blocks), np.float32)
        return self._frame(self._draw(), rewards, ended=False)

    def step(self, actions: Actions) -> Frame:
        """Advance all copies by one tick. Raises ActionError."""
        checked = checked_actions(self._spec, actions)
        action = np.empty((self._spec.n_envs, self.system.n_action))
        for number, name in enumerate(self._spec.agents):
            action[:, self.system.action_block == number] = checked[name]
        noise = self._draw()
        self._state = dynamics.step(self.system, self._state, action, noise)
        self._tick += 1
        rewards = block_rewards(self.system, self._state)
        if self._tick < self._max_steps:
            return self._frame(noise, rewards, ended=False)
        return self._next_episode(noise, rewards)

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E, d): the middle of the range."""
        return np.full((self._spec.n_envs, *self._spec.action_spaces[agent].shape), 0.5, np.float32)  # type: ignore[misc]

    def close(self) -> None:
        """Nothing to release."""

    def _fresh_state(self) -> State:
        drawn = dynamics.init(self.system, self._n_scenarios, self._rng)
        return State(np.repeat(drawn.values, self._copies_per_scenario, axis=0))

    def _draw(self) -> Noise:
        drawn = dynamics.draw(self.system, self._n_scenarios, self._rng)
        choice, observation = (
            np.repeat(rows, self._copies_per_scenario, axis=0) for rows in (drawn.choice, drawn.observation)
        )
        return Noise(choice, observation)

    def _next_episode(self, noise: Noise, rewards: NDArray[np.float32]) -> Frame:
        last, measured = self._state, dynamics.observed(self.system, self._state, noise)
        self._state = self._fresh_state()
        self._tick = 0
        fresh = self._draw()
        return self._frame(fresh, rewards, ended=True, last=last, last_measured=measured)

    def _frame(
        self, noise: Noise, rewards: NDArray[np.float32], *, ended: bool, last: State | None = None,
        last_measured: Float | None = None,
    ) -> Frame:  # fmt: skip
        n_envs = self._spec.n_envs
        return Frame(
            observations=local_views(self.system, dynamics.observed(self.system, self._state, noise)),
            masks=None,
            state=self._state.values.astype(np.float32),
            rewards=rewards,
            terminated=np.zeros(n_envs, np.bool_),
            truncated=np.full(n_envs, ended),
            final_observations=None if last_measured is None else local_views(self.system, last_measured),
            final_state=None if last is None else last.values.astype(np.float32),
        )


def _describe(system: System, options: Options, n_envs: int) -> GridSpec:
    agents = agent_names(system.n_blocks)
    states = {name: np.flatnonzero(system.state_block == i) for i, name in enumerate(agents)}
    actions = {name: np.flatnonzero(system.action_block == i) for i, name in enumerate(agents)}
    names = {agent: tuple(f"s{i}" for i in own) for agent, own in states.items()}
    return GridSpec(
        name="synthetic",
        agents=agents,
        n_envs=n_envs,
        dt_s=1.0,
        state_names=tuple(f"s{i}" for i in range(system.n_state)),
        state_units=("1",) * system.n_state,
        observation_names=names,
        observation_units={agent: ("1",) * len(own) for agent, own in names.items()},
        observation_spaces={
            a: spaces.Box(-_BOUND, _BOUND, (len(own),), np.float32) for a, own in states.items()
        },
        action_spaces={a: spaces.Box(0.0, 1.0, (len(own),), np.float32) for a, own in actions.items()},
        action_names={agent: tuple(f"a{i}" for i in own) for agent, own in actions.items()},
        partition=_true_partition(states, actions),
        options=asdict(options),
    )


def _true_partition(states: dict[str, NDArray[np.int64]], actions: dict[str, NDArray[np.int64]]) -> str:
    clusters = [
        {"name": name, "variables": {"state": states[name].tolist(), "action": actions[name].tolist()}}
        for name in states
    ]
    document = {
        "format": FORMAT,
        "environment": "synthetic",
        "method": {"name": "by construction"},
        "clusters": clusters,
    }
    return json.dumps(document)
