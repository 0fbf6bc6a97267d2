"""The dynamics: every state component copies one of its inputs, drawn at random.

    s'_j = x_i   with probability copy_probability[j, i],   x = (s, a)

(arXiv 2409.04467, synthetic experiment). Random numbers are an argument.
"""

from __future__ import annotations

import numpy as np

from simulator.synthetic.types import Float, Noise, State, System

_UNIFORM_STD = 12**-0.5  # standard deviation of a uniform value on [0, 1]


def init(system: System, n_envs: int, rng: np.random.Generator) -> State:
    """Return E copies with uniform values on [0, 1]."""
    return State(rng.random((n_envs, system.n_state)))


def draw(system: System, n_envs: int, rng: np.random.Generator) -> Noise:
    """Return the random numbers of one step of E copies."""
    shape = (n_envs, system.n_state)
    return Noise(rng.random(shape), rng.standard_normal(shape))


def step(system: System, state: State, action: Float, noise: Noise) -> State:
    """Return the next state.

    Args:
        system: constants.
        state: of E copies.
        action: (E, n_action) in [0, 1].
        noise: random numbers of this step.
    """
    inputs = np.concatenate([state.values, action], axis=1)
    edges = np.cumsum(system.copy_probability, axis=1)
    values = np.empty_like(state.values)
    for j in range(system.n_state):
        chosen = np.searchsorted(edges[j], noise.choice[:, j], side="right")
        chosen = np.minimum(chosen, np.flatnonzero(system.copy_probability[j])[-1])  # rounding of the sum
        values[:, j] = inputs[np.arange(len(inputs)), chosen]
    return State(values)


def observed(system: System, state: State, noise: Noise) -> Float:
    """Return (E, n_state): the state as measured."""
    return state.values + system.noise * _UNIFORM_STD * noise.observation
