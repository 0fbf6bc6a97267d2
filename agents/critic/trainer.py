"""Training of a value network on whole rollouts, with everything drawn from its own generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import huber_loss
from torch.nn.utils import clip_grad_norm_

from agents.critic.errors import CheckpointError, DivergenceError
from agents.critic.network import ValueNetwork
from agents.critic.rollouts import Float32
from agents.critic.settings import CriticSettings


@dataclass(frozen=True)
class UpdateReport:
    """What one update did."""

    version: int  # updates made, this one included
    n_samples: int
    loss: float  # mean Huber loss over the update's minibatches
    explained_variance: float  # 1 − Var(targets − values)/Var(targets), before the update, mean over heads
    gradient_norm: float  # mean, before clipping


class ValueTrainer:
    """A value network with its optimizer, its generator and the number of updates made."""

    def __init__(self, n_inputs: int, n_heads: int, settings: CriticSettings) -> None:
        self.n_inputs = n_inputs
        self.n_heads = n_heads
        self.settings = settings
        self.version = 0
        self.samples = 0  # states trained on, once each
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.network = ValueNetwork(n_inputs, n_heads, settings, self.generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)

    @property
    def learning_rate(self) -> float:
        """Return the step size in force."""
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.optimizer.param_groups[0]["lr"] = value

    def values(self, inputs: Float32) -> Float32:
        """Return (..., H) values of (..., n_inputs) states."""
        flat = torch.from_numpy(np.ascontiguousarray(inputs.reshape(-1, self.n_inputs)))
        values: Float32 = self.network.values(flat).numpy()
        return values.reshape(*inputs.shape[:-1], self.n_heads)

    def update(self, inputs: Float32, targets: Float32) -> UpdateReport:
        """Train on states and what their values should have been.

        The statistics move first, once; then they are frozen while the network trains. The Huber loss is
        taken of normalized values, so that δ means standard deviations of value whatever the unit of reward.

        Args:
            inputs: (..., n_inputs) states.
            targets: (..., H) λ-returns in units of reward.

        Raises:
            DivergenceError: if the loss is not finite.
        """
        x = torch.from_numpy(np.ascontiguousarray(inputs.reshape(-1, self.n_inputs)))
        y = torch.from_numpy(np.ascontiguousarray(targets.reshape(-1, self.n_heads)))
        explained = _explained_variance(self.network.values(x), y)
        self._move_statistics(x, y)
        losses, norms = self._train(x, self.network.head.normalize(y))
        self.version += 1
        self.samples += len(x)
        return UpdateReport(self.version, len(x), float(np.mean(losses)), explained, float(np.mean(norms)))

    def _move_statistics(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.network.normalizer.update(x)
        if self.settings.popart:
            self.network.head.update(y)
            if self.version == 0:
                self.network.head.zero()  # nothing is learned yet that rescaling would have to preserve

    def _train(self, x: torch.Tensor, y: torch.Tensor) -> tuple[list[float], list[float]]:
        losses, norms = [], []
        for _ in range(self.settings.epochs):
            order = torch.randperm(len(x), generator=self.generator)
            for rows in torch.split(order, self.settings.minibatch_size):
                loss, norm = self._gradient_step(x[rows], y[rows])
                losses.append(loss)
                norms.append(norm)
        return losses, norms

    def _gradient_step(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """Return the loss and the norm of its gradient before clipping."""
        loss = huber_loss(self.network(x), y, delta=self.settings.huber_delta)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.network.parameters(), self.settings.max_grad_norm)
        if not torch.isfinite(norm):
            update = self.version + 1
            msg = (
                f"critic: gradient norm {norm.item()} at loss {loss.item()} in update {update}; "
                f"expected finite numbers: lower learning_rate"
            )
            raise DivergenceError(msg)
        self.optimizer.step()
        return loss.item(), norm.item()

    def state_dict(self) -> dict[str, Any]:
        """Return all that makes the next update what it will be: tensors and numbers only."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "version": self.version,
            "samples": self.samples,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` gave.

        Raises:
            CheckpointError: the network has other layers.
        """
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            msg = (
                f"the critic's checkpoint does not fit {self.n_inputs} inputs, hidden {self.settings.hidden} "
                f"and {self.n_heads} heads; give the settings that it learned with, or start anew ({error})"
            )
            raise CheckpointError(msg) from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.version, self.samples = int(state["version"]), int(state["samples"])


def _explained_variance(values: torch.Tensor, targets: torch.Tensor) -> float:
    variance = targets.double().var(dim=0, correction=0)
    residual = (targets - values).double().var(dim=0, correction=0)
    return float(torch.where(variance > 0, 1.0 - residual / variance.clamp(min=1e-300), 0.0).mean())
