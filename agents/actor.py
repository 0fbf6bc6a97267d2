"""The actor in numpy: the same numbers as torch to rounding, without torch's overhead per call.

One `policy.forward` of Stable-Baselines3 spends hundreds of microseconds building distributions
around a network that takes ten. The arrays here are views of torch's own weights, so an optimizer
step or `load_state_dict` needs no copy; nothing in this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Activation = Callable[[np.ndarray], np.ndarray]
_HALF_LOG_2PI = np.float32(0.5 * np.log(2.0 * np.pi))
_ILLEGAL = np.float32(-1e8)  # the logit that sb3_contrib gives an illegal action


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent, in place."""
    np.tanh(x, out=x)
    return x


def relu(x: np.ndarray) -> np.ndarray:
    """Positive part, in place."""
    np.maximum(x, np.float32(0.0), out=x)
    return x


@dataclass(frozen=True)
class Scaling:
    """Observations by their mean and deviation, as agents.critic.normalizer computes it."""

    mean: np.ndarray  # (n,) float64
    variance: np.ndarray  # (n,) float64
    epsilon: float
    clip: float  # deviations

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x (E, n) normalized."""
        y: np.ndarray = x - self.mean.astype(np.float32)
        y *= (1.0 / np.sqrt(self.variance + self.epsilon)).astype(np.float32)
        np.minimum(y, np.float32(self.clip), out=y)
        np.maximum(y, np.float32(-self.clip), out=y)
        return y


@dataclass(frozen=True)
class Layer:
    """One affine layer, as torch stores it."""

    weight: np.ndarray  # (n_out, n_in) float32
    bias: np.ndarray  # (n_out,) float32

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x Wᵀ + b, with x (E, n_in)."""
        y: np.ndarray = x @ self.weight.T
        y += self.bias
        return y


@dataclass(frozen=True)
class Mlp:
    """Hidden layers with one activation, then a linear layer to the distribution's parameters."""

    hidden: tuple[Layer, ...]
    activation: Activation
    output: Layer

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the distribution's parameters (E, n_out) for features (E, n_in)."""
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.output(x)


@dataclass(frozen=True)
class LstmLayer:
    """One LSTM layer; gates stacked in torch's order: input, forget, cell, output."""

    inputs: Layer  # (4 H, n_in)
    recurrent: Layer  # (4 H, H)

    def __call__(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the next hidden and cell state, each (E, H), after one step with input x (E, n_in)."""
        gates = self.inputs(x)
        gates += self.recurrent(h)
        size = h.shape[1]
        sigmoids = gates * np.float32(0.5)  # σ(z) = (1 + tanh(z/2)) / 2 cannot overflow
        np.tanh(sigmoids, out=sigmoids)
        sigmoids += np.float32(1.0)
        sigmoids *= np.float32(0.5)
        candidate = np.tanh(gates[:, 2 * size : 3 * size])
        c = sigmoids[:, size : 2 * size] * c + sigmoids[:, :size] * candidate
        return sigmoids[:, 3 * size :] * np.tanh(c), c


@dataclass(frozen=True)
class Lstm:
    """Stacked LSTM layers."""

    layers: tuple[LstmLayer, ...]

    def __call__(
        self, x: np.ndarray, hidden: np.ndarray, cell: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take one step.

        Args:
            x: (E, n_in) features.
            hidden: (n_layers, E, H) hidden states before the step.
            cell: (n_layers, E, H) cell states before the step.

        Returns:
            The top layer's output (E, H), and the hidden and cell states after the step.
        """
        hidden, cell = hidden.copy(), cell.copy()
        for index, layer in enumerate(self.layers):
            x, cell[index] = layer(x, hidden[index], cell[index])
            hidden[index] = x
        return x, hidden, cell


class Head(Protocol):
    """A distribution over actions, given the parameters that the network computed."""

    def decide(
        self, parameters: np.ndarray, generator: np.random.Generator | None, masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions.

        Args:
            parameters: (E, n) float32, what the network computed.
            generator: Draws the actions; None takes the most likely ones.
            masks: (E, n) bool, the legal actions; None where all are legal.

        Returns:
            The actions and their log-probabilities (E,) float32.
        """


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions with a standard deviation that does not depend on the state."""

    log_std: np.ndarray  # (action_dim,) float32

    def decide(
        self, parameters: np.ndarray, generator: np.random.Generator | None, masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions (E, action_dim) float32 around the means `parameters`; not clipped to bounds."""
        del masks  # a continuous action has none
        std = np.exp(self.log_std)
        actions = parameters
        if generator is not None:
            actions = parameters + std * generator.standard_normal(parameters.shape, dtype=np.float32)
        z = (actions - parameters) / std
        return actions, (np.float32(-0.5) * z * z - self.log_std - _HALF_LOG_2PI).sum(axis=1)


@dataclass(frozen=True)
class Categorical:
    """One choice, or several independent choices, each among a number of actions."""

    sizes: tuple[int, ...]  # number of actions of each choice

    def decide(
        self, parameters: np.ndarray, generator: np.random.Generator | None, masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions (E, n_choices) int64 from logits (E, sum of sizes)."""
        if masks is not None:
            parameters = np.where(masks, parameters, _ILLEGAL)
        rows = np.arange(len(parameters))
        actions = np.empty((len(parameters), len(self.sizes)), np.int64)
        log_probs = np.zeros(len(parameters), np.float32)
        start = 0
        for choice, size in enumerate(self.sizes):
            logits = _log_softmax(parameters[:, start : start + size])
            actions[:, choice] = logits.argmax(axis=1) if generator is None else _draw(logits, generator)
            log_probs += logits[rows, actions[:, choice]]
            start += size
        return actions, log_probs


@dataclass(frozen=True)
class Bernoulli:
    """Independent yes/no choices; a logit z is a choice between actions with logits 0 and z."""

    size: int

    def decide(
        self, parameters: np.ndarray, generator: np.random.Generator | None, masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions (E, size), each 0 or 1, from logits (E, size)."""
        pairs = np.stack([np.zeros_like(parameters), parameters], axis=2).reshape(len(parameters), -1)
        return Categorical((2,) * self.size).decide(pairs, generator, masks)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _draw(log_probs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw by the inverse distribution function; an action of probability zero is never drawn."""
    cumulative = np.exp(log_probs).cumsum(axis=1, dtype=np.float64)
    total = cumulative[:, -1]
    threshold = np.minimum(generator.random(len(total)) * total, np.nextafter(total, 0.0))
    return np.asarray((cumulative > threshold[:, None]).argmax(axis=1))
