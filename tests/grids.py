"""Grids small enough to see through, for tests of everything around the physics."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from simulator.actions import checked_actions
from simulator.frame import Actions, Frame, GridSpec


class CounterGrid:
    """Every copy counts its ticks; agents see the count and their own last action.

    Rewards are the actions themselves, so that what was applied when can be read off. Episode
    lengths differ by copy: copy i is truncated after `length + i` ticks; agent 1's action 2 terminates.
    """

    def __init__(self, n_envs: int = 3, length: int = 10, masks: bool = True, box: bool = False) -> None:
        self.length = np.arange(n_envs) + length
        self.masks = masks
        self.box = box
        agents = ("left", "right")
        space = spaces.Box(-1, 1, (1,), np.float32) if box else spaces.Discrete(4)
        self.spec = GridSpec(
            name="counter",
            agents=agents,
            n_envs=n_envs,
            dt_s=2.0,
            state_names=("count",),
            state_units=("1",),
            observation_names=dict.fromkeys(agents, ("count", "line_x.status")),
            observation_units=dict.fromkeys(agents, ("1", "1")),
            observation_spaces={a: spaces.Box(-np.inf, np.inf, (2,), np.float32) for a in agents},
            action_spaces=dict.fromkeys(agents, space),
            action_names=dict.fromkeys(
                agents, ("shift",) if box else ("wait", "a", "b", "set_line_status x +1")
            ),
            metric_names=("count",),
            neighbours={"left": ("right",), "right": ("left",)},
        )
        self.count = np.zeros(n_envs, np.int64)
        self.offset = np.zeros(n_envs)
        self.last = {a: np.zeros(n_envs, np.float32) for a in agents}

    def reset(self, seed: int | None = None) -> Frame:
        if seed is not None:
            self.offset = np.random.default_rng(seed).integers(0, 1000, self.spec.n_envs) * 1000.0
        self.count[:] = 0
        for last in self.last.values():
            last[:] = 0
        none = np.zeros(self.spec.n_envs, np.bool_)
        return self._frame(np.zeros((self.spec.n_envs, 2), np.float32), none, none, None, None)

    def step(self, actions: Actions) -> Frame:
        actions = checked_actions(self.spec, actions)
        self.count += 1
        for agent, action in actions.items():
            self.last[agent] = action.reshape(-1).astype(np.float32)
        rewards = np.stack([self.last[a] for a in self.spec.agents], axis=1)
        terminated = self.last["right"] == 2
        truncated = (self.count >= self.length) & ~terminated
        done = terminated | truncated
        final, final_state = None, None
        if done.any():
            final, final_state = self._observations(), self._state()
            self.count[done] = 0
            for agent in self.spec.agents:
                self.last[agent] = np.where(done, 0, self.last[agent]).astype(np.float32)
        return self._frame(rewards, terminated, truncated, final, final_state)

    def fallback(self, agent: str) -> np.ndarray:
        shape = (self.spec.n_envs, 1) if self.box else (self.spec.n_envs,)
        return np.zeros(shape, np.float32 if self.box else np.int64)

    def close(self) -> None:
        pass

    def _state(self) -> np.ndarray:
        return (self.count + self.offset).astype(np.float32)[:, None]

    def _observations(self) -> dict[str, np.ndarray]:
        return {a: np.stack([self._state()[:, 0], self.last[a]], axis=1) for a in self.spec.agents}

    def _frame(self, rewards, terminated, truncated, final, final_state) -> Frame:
        masks = None
        if self.masks and not self.box:
            legal = np.ones((self.spec.n_envs, 4), np.bool_)
            legal[:, 3] = self.count % 3 == 0
            masks = {a: legal.copy() for a in self.spec.agents}
        return Frame(
            observations=self._observations(),
            masks=masks,
            state=self._state(),
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            final_observations=final,
            final_state=final_state,
            info={"count": self.count.astype(np.float32)},
        )
