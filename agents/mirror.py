"""Numpy views of an actor that torch trains: what `agents.actor` computes with.

The views share torch's memory. An optimizer step and `load_state_dict` write into it, so the views
follow; `is_current` notices the rest (`load_from_vector`, `to`), which move the weights elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th
from torch import nn

from agents import actor
from agents.normalized import NormalizedFeatures

ACTIVATIONS: dict[type[nn.Module], actor.Activation] = {nn.Tanh: actor.tanh, nn.ReLU: actor.relu}


@dataclass(frozen=True)
class Mirror:
    """An actor's layers in numpy, and where torch kept the weights when they were viewed."""

    weights: tuple[th.Tensor, ...]  # what is viewed, statistics of observations included
    addresses: tuple[int, ...]
    scaling: actor.Scaling | None
    mlp: actor.Mlp
    lstm: actor.Lstm | None
    head: actor.Head

    def is_current(self) -> bool:
        """Return whether torch's weights are still where they were."""
        return self.addresses == tuple(weight.data_ptr() for weight in self.weights)

    def features(self, obs: th.Tensor) -> np.ndarray:
        """Return what the network sees of observations (E, ...): (E, n)."""
        x = flat(obs)
        return x if self.scaling is None else self.scaling(x)


def view(
    features: nn.Module,
    hidden: nn.Sequential,
    output: nn.Module,
    lstm: nn.Module | None,
    head: actor.Head,
    free: tuple[nn.Parameter, ...],
) -> Mirror | None:
    """Return the numpy view of an actor, or None if numpy has no counterpart of one of its parts.

    Args:
        features: What comes first: it flattens, and may normalize.
        hidden: Linear layers, each followed by the same activation.
        output: The linear layer to the distribution's parameters.
        lstm: What comes before the hidden layers, if anything does.
        head: The distribution over actions.
        free: Weights that the head views.
    """
    linear = [module for module in hidden if isinstance(module, nn.Linear)]
    kinds = {type(module) for module in hidden if not isinstance(module, nn.Linear)}
    if not isinstance(output, nn.Linear) or len(kinds) > 1 or not kinds <= ACTIVATIONS.keys():
        return None
    weights = [weight for layer in (*linear, output) for weight in (layer.weight, layer.bias)]
    weights += [*free, *(() if lstm is None else lstm.parameters())]
    if not all(weight.is_cpu and weight.dtype is th.float32 for weight in weights):
        return None
    layers = None
    if lstm is not None:
        layers = _lstm(lstm)
        if layers is None:
            return None
    activation = ACTIVATIONS[kinds.pop()] if kinds else actor.tanh
    mlp = actor.Mlp(tuple(map(_layer, linear)), activation, _layer(output))
    scaling, viewed = None, (*weights, *features.buffers())
    if isinstance(features, NormalizedFeatures):
        scaling = features.view()
    return Mirror(viewed, tuple(tensor.data_ptr() for tensor in viewed), scaling, mlp, layers, head)


def as_numpy(tensor: th.Tensor) -> np.ndarray:
    """Return a view of the tensor's memory (a copy only from another device)."""
    return np.asarray(tensor.detach().cpu().numpy())


def flat(obs: th.Tensor) -> np.ndarray:
    """Return observations (E, ...) on the CPU as features (E, n) float32."""
    return obs.numpy().astype(np.float32, copy=False).reshape(obs.shape[0], -1)


def _layer(linear: nn.Linear) -> actor.Layer:
    return actor.Layer(as_numpy(linear.weight), as_numpy(linear.bias))


def _lstm(module: nn.Module) -> actor.Lstm | None:
    if not isinstance(module, nn.LSTM) or not module.bias or module.bidirectional or module.proj_size:
        return None
    weights = {name: as_numpy(weight) for name, weight in module.named_parameters()}
    return actor.Lstm(
        tuple(
            actor.LstmLayer(
                actor.Layer(weights[f"weight_ih_l{k}"], weights[f"bias_ih_l{k}"]),
                actor.Layer(weights[f"weight_hh_l{k}"], weights[f"bias_hh_l{k}"]),
            )
            for k in range(module.num_layers)
        )
    )
