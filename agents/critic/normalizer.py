"""Running mean and standard deviation of the critic's inputs, updated between rollouts only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLIP = 10.0  # standard deviations; as in Stable-Baselines3's VecNormalize
EPSILON = 1e-8


class RunningNormalizer(nn.Module):
    """Maps inputs to zero mean and unit variance; the identity (but for the clip) until first updated."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_inputs, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(n_inputs, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, inputs: Tensor) -> None:
        """Merge (N, n_inputs) into the statistics (Chan, Golub and LeVeque 1979)."""
        batch = inputs.double()
        n, mean, variance = len(batch), batch.mean(dim=0), batch.var(dim=0, correction=0)
        total = self.count + n
        shift = mean - self.mean
        merged = self.variance * self.count + variance * n + shift.square() * self.count * n / total
        self.mean += shift * n / total
        self.variance.copy_(merged / total)
        self.count.copy_(total)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs, within ±CLIP."""
        scale = torch.rsqrt(self.variance + EPSILON).float()
        return ((inputs - self.mean.float()) * scale).clamp(-CLIP, CLIP)
