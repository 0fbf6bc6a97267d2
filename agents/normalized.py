"""Observations with mean 0 and deviation 1, by statistics that are part of the policy.

VecNormalize keeps its statistics beside the model, and moves them at every step. Here they are buffers of
the policy, so that an ordinary SB3 zip carries them, and they move once per rollout, after it was learned
from: PPO compares the policy with the one that collected the rollout, π(a|s)/π_old(a|s). Were the
statistics moved in between, the same weights would be another policy, and the ratio not 1 at the first
epoch.
"""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor

from agents import actor
from agents.critic.normalizer import CLIP, EPSILON, RunningNormalizer


class NormalizedFeatures(FlattenExtractor):
    """Flat observations, normalized and within ±10; as they are (but for the bound) before the first update.

    Args:
        observation_space: As in SB3.
    """

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space)
        self.normalizer = RunningNormalizer(self.features_dim)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (N, n) for observations (N, ...)."""
        return self.normalizer(super().forward(observations))  # type: ignore[no-any-return]

    def update(self, observations: np.ndarray) -> None:
        """Merge the observations (..., n) of a rollout into the statistics."""
        rows = th.from_numpy(observations.reshape(-1, self.features_dim))
        self.normalizer.update(rows.to(self.normalizer.mean.device))

    def view(self) -> actor.Scaling:
        """Return the same in numpy, on views of the statistics."""
        mean, variance = self.normalizer.mean, self.normalizer.variance
        return actor.Scaling(mean.cpu().numpy(), variance.cpu().numpy(), EPSILON, CLIP)
