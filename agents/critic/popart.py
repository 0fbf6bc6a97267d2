"""PopArt: the last layer learns normalized values and keeps its outputs when the normalization moves.

van Hasselt et al., Learning values across many orders of magnitude (2016), equations 7 to 9. Mean and mean
square are exponential averages over rollouts, corrected for their start at zero as in Adam, so that the
first rollout counts fully.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MIN_VARIANCE = 1e-8  # of values, in squared units of reward


class PopArtHead(nn.Module):
    """A linear layer of H outputs, each with its own scale."""

    mean_sum: Tensor
    square_sum: Tensor
    weight_sum: Tensor

    def __init__(self, n_hidden: int, n_heads: int, decay: float) -> None:
        super().__init__()
        self.linear = nn.Linear(n_hidden, n_heads, device="meta").to_empty(device="cpu")
        self.decay = decay
        self.register_buffer("mean_sum", torch.zeros(n_heads, dtype=torch.float64))
        self.register_buffer("square_sum", torch.zeros(n_heads, dtype=torch.float64))
        self.register_buffer("weight_sum", torch.zeros((), dtype=torch.float64))
        self.zero()

    @torch.no_grad()
    def zero(self) -> None:
        """Answer with the mean everywhere."""
        self.linear.weight.zero_()
        self.linear.bias.zero_()

    @property
    def mean(self) -> Tensor:
        """Return (H,) the mean of the values seen, 0 before any."""
        return self.mean_sum / self.weight_sum if self.weight_sum > 0 else self.mean_sum

    @property
    def std(self) -> Tensor:
        """Return (H,) the standard deviation of the values seen, 1 before any."""
        if self.weight_sum == 0:
            return torch.ones_like(self.square_sum)
        return (self.square_sum / self.weight_sum - self.mean.square()).clamp(min=MIN_VARIANCE).sqrt()

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Merge (N, H) values into the statistics and rescale the layer so that no output changes."""
        old_mean, old_std = self.mean.clone(), self.std.clone()
        batch = values.double()
        self.mean_sum.lerp_(batch.mean(dim=0), 1.0 - self.decay)
        self.square_sum.lerp_(batch.square().mean(dim=0), 1.0 - self.decay)
        self.weight_sum.lerp_(torch.ones_like(self.weight_sum), 1.0 - self.decay)
        mean, std = self.mean, self.std
        weight, bias = self.linear.weight.double(), self.linear.bias.double()
        self.linear.weight.copy_(weight * (old_std / std)[:, None])
        self.linear.bias.copy_((old_std * bias + old_mean - mean) / std)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (N, H) normalized values."""
        out: Tensor = self.linear(hidden)
        return out

    def normalize(self, values: Tensor) -> Tensor:
        """Return values in units of their standard deviation from their mean, float32."""
        return ((values - self.mean) / self.std).float()

    def denormalize(self, normalized: Tensor) -> Tensor:
        """Return values in units of reward, float32."""
        return (normalized * self.std + self.mean).float()
