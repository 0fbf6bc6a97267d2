"""Rollout buffers that ask a critic for advantages and shuffle by the agent's own generator.

`compute_returns_and_advantage` (stable_baselines3/common/buffers.py:403) is the one place where
Stable-Baselines3 turns rewards into advantages, so it is the one place that is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from stable_baselines3.common.buffers import RolloutBuffer

from agents import sources
from agents.errors import CriticError

_EPSILON = 1e-8  # keeps a constant batch finite, as stable_baselines3/ppo/ppo.py does


class EnsembleRolloutBuffer(RolloutBuffer):
    """A rollout buffer that asks a critic.

    Without a generator of its own (a plain `PPO.load` gives it none) it shuffles as the stock buffer does.

    Args:
        critic: Address of the advantage source, looked up when a rollout is complete.
        normalize: Whether advantages get mean 0 and deviation 1 over the whole rollout, as MAPPO does.
        *args: As in the stock buffer.
        **kwargs: As in the stock buffer.
    """

    generator: np.random.Generator | None = None
    learned_from: Callable[[np.ndarray], None] | None = None  # told of a rollout's observations by conclude()
    concluded = False
    advantage_mean = float("nan")  # of the last rollout, before normalization
    advantage_std = float("nan")
    flattened: ClassVar[tuple[str, ...]] = (
        "observations",
        "actions",
        "values",
        "log_probs",
        "advantages",
        "returns",
    )

    def __init__(self, *args: Any, critic: str | None = None, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.critic = critic
        self.normalize = normalize

    def reset(self) -> None:
        """Conclude the rollout, and begin another."""
        self.conclude()
        super().reset()
        self.concluded = False

    def conclude(self) -> None:
        """Tell `learned_from` that learning from this rollout is over: once, and only if there was any."""
        if self.learned_from is not None and self.generator_ready and not self.concluded:
            self.learned_from(self.observations)
        self.concluded = True

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Fill values, advantages and returns with the critic's answer.

        Args:
            last_values: Ignored; the critic knows the value of the state after the rollout.
            dones: (E,) bool, whether the last step ended the episode.

        Raises:
            CriticError: no critic is registered, or its answer has a wrong shape or is not finite.
        """
        del last_values
        # SB3 marks the start of an episode; the step before it is the one that ended.
        ended = np.concatenate([self.episode_starts[1:], np.asarray(dones, np.float32)[None]]) > 0.5
        # SB3 added gamma * 0 where an episode was truncated, which turns -0.0 into 0.0: do so everywhere.
        rewards = self.rewards + np.float32(0.0)
        answer = sources.lookup(self.critic).advantages(rewards, ended, self.gamma, self.gae_lambda)
        for name, array in zip(("values", "advantages", "returns"), answer, strict=True):
            setattr(self, name, self._checked(name, array))
        self._normalize_advantages()

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield minibatches in the order of the agent's own generator."""
        if self.generator is None:
            yield from super().get(batch_size)
            return
        self._flatten()
        order = self.generator.permutation(self._usable())
        for indices in self._minibatches(order, batch_size or len(order)):
            yield self._get_samples(indices)

    def _checked(self, name: str, array: np.ndarray) -> np.ndarray:
        if array.shape != self.rewards.shape:
            message = (
                f"critic {self.critic!r}: {name} have shape {array.shape}, expected (steps, copies) = "
                f"{self.rewards.shape}; the critic and the agent must agree on n_steps and n_envs"
            )
            raise CriticError(message)
        if not np.isfinite(array).all():
            message = (
                f"critic {self.critic!r}: {name} are not all finite; look for diverged values or rewards"
            )
            raise CriticError(message)
        return np.array(array, np.float32)

    def _normalize_advantages(self) -> None:
        chosen = self.advantages[self._deciding()]
        if chosen.size == 0:
            return
        mean, std = chosen.mean(dtype=np.float64), chosen.std(dtype=np.float64)
        self.advantage_mean, self.advantage_std = float(mean), float(std)
        if self.normalize:
            self.advantages = ((self.advantages - mean) / (std + _EPSILON)).astype(np.float32)

    def _deciding(self) -> np.ndarray:
        """Return (T, E) bool: the samples at which the agent had a choice."""
        return np.ones(self.rewards.shape, bool)

    def _usable(self) -> np.ndarray:
        return np.arange(self.buffer_size * self.n_envs)

    def _minibatches(self, order: np.ndarray, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _flatten(self) -> None:
        """Join steps and copies into one axis, once per rollout, as the stock `get` does."""
        if not self.full:
            message = f"rollout buffer holds {self.pos} of {self.buffer_size} steps; collect a whole rollout"
            raise CriticError(message)
        if self.generator_ready:
            return
        for name in self.flattened:
            setattr(self, name, self.swap_and_flatten(getattr(self, name)))
        self.generator_ready = True


class MaskableEnsembleRolloutBuffer(EnsembleRolloutBuffer, MaskableRolloutBuffer):  # type: ignore[misc]
    """The same with action masks; samples at which only one action was legal teach nothing and are left out.

    Their log-probability is 0 whatever the policy, so kept in they would only dilute the mean of the loss,
    the entropy bonus, and the KL divergence that stops an update.
    """

    flattened: ClassVar[tuple[str, ...]] = (*EnsembleRolloutBuffer.flattened, "action_masks")

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """As in the base class; and the advantage of a forced action is 0."""
        self.choice = self._deciding()
        super().compute_returns_and_advantage(last_values, dones)
        self.advantages[~self.choice] = 0.0

    def _deciding(self) -> np.ndarray:
        legal = np.add.reduceat(self.action_masks > 0.5, self._choice_starts(), axis=2, dtype=np.int64)
        return np.asarray((legal > 1).any(axis=2))

    def _choice_starts(self) -> np.ndarray:
        """Return the first mask column of each choice."""
        if isinstance(self.action_space, spaces.MultiDiscrete):
            return np.concatenate([[0], np.cumsum(self.action_space.nvec)[:-1]])
        return np.arange(
            0, self.mask_dims, 2 if isinstance(self.action_space, spaces.MultiBinary) else self.mask_dims
        )

    def _usable(self) -> np.ndarray:
        return np.flatnonzero(self.choice.swapaxes(0, 1))

    def _minibatches(self, order: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Split evenly: how many samples remain varies, and a remainder of two would be a step of noise."""
        yield from np.array_split(order, -(-len(order) // size))


class RecurrentEnsembleRolloutBuffer(EnsembleRolloutBuffer, RecurrentRolloutBuffer):  # type: ignore[misc]
    """The same with LSTM states; sequences stay in order, only the point where they are cut is drawn."""

    flattened: ClassVar[tuple[str, ...]] = (
        *EnsembleRolloutBuffer.flattened,
        "hidden_states_pi",
        "cell_states_pi",
        "hidden_states_vf",
        "cell_states_vf",
        "episode_starts",
    )

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield minibatches as the stock buffer does (sb3_contrib/common/recurrent/buffers.py:149)."""
        if self.generator is None:
            yield from super().get(batch_size)
            return
        self._flatten()
        n = self.buffer_size * self.n_envs
        order = np.roll(np.arange(n), -int(self.generator.integers(n)))
        env_change = np.zeros((n, 1))
        env_change[:: self.buffer_size] = 1.0
        for indices in self._minibatches(order, batch_size or n):
            yield self._get_samples(indices, env_change)  # type: ignore[arg-type]

    def _flatten(self) -> None:
        if self.full and not self.generator_ready:
            for name in ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf"):
                setattr(self, name, getattr(self, name).swapaxes(1, 2))
        super()._flatten()
