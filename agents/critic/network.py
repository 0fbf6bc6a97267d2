"""The value network: normalized inputs, layers with LayerNorm, one PopArt output per reward signal."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from agents.critic.normalizer import RunningNormalizer
from agents.critic.popart import PopArtHead
from agents.critic.settings import CriticSettings


class ValueNetwork(nn.Module):
    """V of the global state, for H reward signals.

    The output layer starts at zero: before the first update every value is 0, whatever the scale of
    inputs that no statistics exist of yet. Nothing is drawn from torch's global generator.
    """

    def __init__(
        self, n_inputs: int, n_heads: int, settings: CriticSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.normalizer = RunningNormalizer(n_inputs)
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise((n_inputs, *settings.hidden)):
            linear = nn.Linear(size_in, size_out, device="meta").to_empty(device="cpu")
            nn.init.orthogonal_(linear.weight, gain=math.sqrt(2.0), generator=generator)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LayerNorm(size_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.head = PopArtHead(settings.hidden[-1], n_heads, settings.popart_decay)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, H) normalized values of (N, n_inputs)."""
        out: Tensor = self.head(self.layers(self.normalizer(inputs)))
        return out

    @torch.no_grad()
    def values(self, inputs: Tensor) -> Tensor:
        """Return (N, H) values in units of reward."""
        return self.head.denormalize(self(inputs))
