"""IPPO's critic: an agent's own, on its own observations and its own reward, inside the agent's process.

de Witt et al., Is independent learning all you need in the StarCraft multi-agent challenge? (2020). The
same network, targets and training as the centralized critic; only what it sees differs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.critic.digest import rollout_digest
from agents.critic.errors import DigestError, RolloutError
from agents.critic.rewards import RewardSignals
from agents.critic.rollouts import Bool, Float32, Rollout
from agents.critic.settings import CriticSettings
from agents.critic.trainer import UpdateReport, ValueTrainer
from agents.critic.valuation import Discount, value_rollout

OWN_REWARD = RewardSignals(np.ones((1, 1), np.float32), (0,))


@dataclass(frozen=True)
class _Record:
    """What one observation said; reward and ends belong to the step into it."""

    obs: Float32  # (E, d)
    reward: Float32  # (E,)
    terminated: Bool  # (E,)
    truncated: Bool  # (E,)
    final_obs: Float32  # (E, d), 0 where not done


class IndependentCritic:
    """A source of advantages that needs nobody else.

    Args:
        agent: name, for messages.
        obs_dim: d.
        settings: `reward` and `alpha` are not read: an agent alone knows only its own reward.
        copies_per_scenario: neighbouring copies that meet the same scenario; see `gae.beside_siblings`.
    """

    def __init__(
        self, agent: str, obs_dim: int, settings: CriticSettings, copies_per_scenario: int = 1
    ) -> None:
        self.agent = agent
        self._copies_per_scenario = copies_per_scenario
        self.trainer = ValueTrainer(obs_dim, 1, settings)
        self.report: UpdateReport | None = None  # of the newest update
        self._records: deque[_Record] = deque(maxlen=settings.history_ticks)

    def restart(self) -> None:
        """Forget what was recorded: the world has begun anew."""
        self._records.clear()

    def record(
        self,
        obs: NDArray[Any],
        reward: NDArray[Any],
        terminated: NDArray[Any],
        truncated: NDArray[Any],
        final_obs: NDArray[Any] | None,
    ) -> None:
        """Take one tick's observation; call it for every tick, the first of an epoch included.

        Args:
            obs: (E, d), of the new episode where one has just ended.
            reward: (E,) for the step into this tick; not read at the first.
            terminated: (E,).
            truncated: (E,).
            final_obs: (E, d) last observation of the old episode where done; None if no copy is.

        Raises:
            RolloutError: if a copy was truncated and final_obs is missing.
        """
        if final_obs is None and np.any(truncated):
            msg = f"critic of agent {self.agent}: copies are truncated but final_obs is missing"
            raise RolloutError(msg)
        current = np.array(obs, np.float32)
        done = np.asarray(terminated, bool) | np.asarray(truncated, bool)
        final = np.zeros_like(current)
        if final_obs is not None:
            final[done] = final_obs[done]
        self._records.append(
            _Record(
                current,
                np.array(reward, np.float32),
                np.array(terminated, bool),
                np.array(truncated, bool),
                final,
            )
        )

    def advantages(
        self, rewards: Float32, dones: Bool, gamma: float, gae_lambda: float
    ) -> tuple[Float32, Float32, Float32]:
        """Return values, advantages and returns (T, E) of the newest T steps, then train on them.

        Raises:
            RolloutError: if fewer than T steps were recorded.
            DigestError: if rewards or dones are not those recorded.
        """
        rollout = self._rollout(len(rewards))
        if rollout_digest(rollout.rewards[..., 0], rollout.dones) != rollout_digest(rewards, dones):
            msg = (
                f"critic of agent {self.agent}: the rewards and dones of the last {len(rewards)} steps are "
                f"not those recorded; record every tick, and change no rewards in between"
            )
            raise DigestError(msg)
        discount = Discount(gamma, gae_lambda)
        valuation = value_rollout(self.trainer, rollout, OWN_REWARD)
        answer = valuation.answer(0, discount, self._copies_per_scenario)
        self.report = self.trainer.update(rollout.inputs[:-1], valuation.targets([discount]))
        return answer.values, answer.advantages, answer.returns

    def _rollout(self, n_steps: int) -> Rollout:
        if len(self._records) <= n_steps:
            msg = (
                f"critic of agent {self.agent}: asked for {n_steps} steps, {len(self._records)} observations "
                f"are recorded, expected at least {n_steps + 1}; record every tick, or raise history_ticks"
            )
            raise RolloutError(msg)
        records = list(self._records)[-n_steps - 1 :]
        return Rollout(
            inputs=np.stack([r.obs for r in records]),
            rewards=np.stack([r.reward for r in records[1:]])[..., None],
            terminated=np.stack([r.terminated for r in records[1:]]),
            truncated=np.stack([r.truncated for r in records[1:]]),
            final_inputs=np.stack([r.final_obs for r in records[1:]]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned, for `agents.critic.checkpoint.save`."""
        return self.trainer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave. Raises CheckpointError where the network has other layers."""
        self.trainer.load_state_dict(state)

    def load_learned(self, state: dict[str, Any]) -> None:
        """Start from what another run learned, with this run's step size. Raises as `load_state_dict`."""
        self.trainer.load_state_dict(state)
        self.trainer.learning_rate = self.trainer.settings.learning_rate
