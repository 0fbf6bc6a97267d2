"""A rollout with its values: what advantages are computed from, as often as agents ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.critic.gae import beside_siblings, bootstrap_values, gae
from agents.critic.rewards import RewardSignals
from agents.critic.rollouts import Float32, Rollout
from agents.critic.trainer import ValueTrainer
from broker.messages import Advantages


@dataclass(frozen=True)
class Discount:
    """How far an agent looks ahead."""

    gamma: float  # discount of rewards
    lam: float  # λ of the advantage estimate


@dataclass(frozen=True)
class Valuation:
    """A rollout as one version of the network values it."""

    rollout: Rollout
    signals: Float32  # (T, E, H) mixed rewards
    values: Float32  # (T, E, H) V(s_t)
    next_values: Float32  # (T, E, H) V(s_final) where truncated, else V(s_{t+1})
    version: int

    def advantages(self, head: int, discount: Discount) -> Float32:
        """Return (T, E) advantages of one reward signal."""
        return gae(
            self.signals[..., head],
            self.values[..., head],
            self.next_values[..., head],
            self.rollout.terminated,
            self.rollout.truncated,
            discount.gamma,
            discount.lam,
        )

    def answer(self, head: int, discount: Discount, copies_per_scenario: int) -> Advantages:
        """Return the message that an agent gets; its advantages are measured against sibling copies."""
        advantages = self.advantages(head, discount)
        values = np.ascontiguousarray(self.values[..., head])
        compared = beside_siblings(advantages, copies_per_scenario)
        return Advantages(values, compared, advantages + values, self.version)

    def targets(self, discounts: Sequence[Discount]) -> Float32:
        """Return (T, E, H) λ-returns, with one discount per signal."""
        returns = [self.advantages(h, d) + self.values[..., h] for h, d in enumerate(discounts)]
        return np.stack(returns, axis=-1)


def value_rollout(trainer: ValueTrainer, rollout: Rollout, signals: RewardSignals) -> Valuation:
    """Return `rollout` as the network values it now."""
    values = trainer.values(rollout.inputs)
    final_values = np.zeros_like(values[1:])
    cut_off = rollout.truncated
    if cut_off.any():
        final_values[cut_off] = trainer.values(rollout.final_inputs[cut_off])
    next_values = bootstrap_values(values, final_values, cut_off[..., None])
    return Valuation(rollout, signals.mix(rollout.rewards), values[:-1], next_values, trainer.version)
