"""Small worlds and critics in this process, against which the algorithms are tested."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
DISCRETE = spaces.Discrete(2)
MULTI = spaces.MultiDiscrete([2, 3])


class TinyWorld(VecEnv):
    """Guess the sign (or the value) of the last observation; episodes end or are cut at random.

    Reward is the closeness of the action to observation[0]. Everything random comes from one seed, and
    `env.seed` is ignored, as on the bus. One copy in ten ends after a step, one in ten is truncated.
    """

    def __init__(
        self, action_space: spaces.Space, n_envs: int = 4, seed: int = 0, forced: float = 0.0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.forced = forced  # share of states with only action 0 legal
        self.truncations: list[np.ndarray] = []
        self.seen: list[np.ndarray] = []
        self.render_mode = None
        super().__init__(n_envs, spaces.Box(-1.0, 1.0, (3,), np.float32), action_space)

    def _observe(self) -> np.ndarray:
        self.obs = self.rng.choice([-1.0, 1.0], (self.num_envs, 3)).astype(np.float32)
        self.no_choice = self.rng.random(self.num_envs) < self.forced
        return self.obs.copy()

    def reset(self) -> np.ndarray:
        return self._observe()

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = np.asarray(actions)

    def step_wait(self) -> Any:
        self.seen.append(self.actions.copy())
        guess = self.actions.reshape(self.num_envs, -1)[:, 0].astype(np.float32)
        if not isinstance(self.action_space, spaces.Box):
            guess = 2.0 * guess - 1.0
        rewards = (-np.abs(guess - self.obs[:, 0])).astype(np.float32)
        terminated = self.rng.random(self.num_envs) < 0.1
        truncated = (self.rng.random(self.num_envs) < 0.1) & ~terminated
        self.truncations.append(truncated)
        final = self._observe()
        infos: list[dict[str, Any]] = [
            {"TimeLimit.truncated": bool(truncated[i]), "terminal_observation": final[i]}
            if terminated[i] or truncated[i]
            else {}
            for i in range(self.num_envs)
        ]
        return self._observe(), rewards, terminated | truncated, infos

    def masks(self) -> list[np.ndarray]:
        if isinstance(self.action_space, spaces.Discrete):
            mask = np.ones((self.num_envs, int(self.action_space.n)), bool)
            mask[self.no_choice, 1:] = False
        else:
            mask = np.ones((self.num_envs, int(np.sum(self.action_space.nvec))), bool)
        return list(mask)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        assert method_name == "action_masks"
        return self.masks()

    def has_attr(self, attr_name: str) -> bool:
        return attr_name == "action_masks" and not isinstance(self.action_space, spaces.Box)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def seed(self, seed: int | None = None) -> list[None]:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def close(self) -> None:
        pass


class ConstantCritic:
    """V = c everywhere: GAE in float32, in the order in which SB3 computes it; knows the truncations."""

    def __init__(self, value: float = 0.0, world: TinyWorld | None = None) -> None:
        self.value = np.float32(value)
        self.world = world
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []

    def advantages(
        self, rewards: np.ndarray, dones: np.ndarray, gamma: float, gae_lambda: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.asked.append((rewards.copy(), dones.copy()))
        values = np.full_like(rewards, self.value)
        rewards = rewards.copy()
        if self.world is not None:
            truncated = np.stack(self.world.truncations[-len(rewards) :])
            rewards[truncated] += np.float32(gamma) * self.value
        advantages = np.zeros_like(rewards)
        tail = np.zeros(rewards.shape[1], np.float32)
        for t in reversed(range(len(rewards))):
            going_on = np.float32(1.0) - dones[t].astype(np.float32)
            delta = rewards[t] + gamma * self.value * going_on - self.value
            tail = delta + gamma * gae_lambda * going_on * tail
            advantages[t] = tail
        return values, advantages, advantages + values
