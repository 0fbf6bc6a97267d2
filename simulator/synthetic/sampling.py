"""Collect independent samples of a factored process under uniform random actions.

Along one trajectory values persist, so that two series which have nothing to do with each other look
related more often than shuffling suggests. Here every sample comes from a copy of its own.
"""

from __future__ import annotations

import numpy as np

from simulator.synthetic import dynamics
from simulator.synthetic.types import Float, System

_SETTLING_STEPS = 50  # until related components are as alike as in the long run
_COPIES = 20_000  # at a time: bounds the memory


def collect(system: System, n_samples: int, seed: int) -> tuple[Float, Float]:
    """Return what was before and after n_samples steps, as measured.

    Returns:
        before: (n_state + n_action, n_samples) states, then actions.
        after: (n_state, n_samples) next states.
    """
    rng = np.random.default_rng(seed)
    parts = [_one_step(system, min(_COPIES, n_samples - i), rng) for i in range(0, n_samples, _COPIES)]
    before, after = (np.concatenate(side).T.copy() for side in zip(*parts, strict=True))
    return before, after


def _one_step(system: System, n_envs: int, rng: np.random.Generator) -> tuple[Float, Float]:
    state = dynamics.init(system, n_envs, rng)
    noise = dynamics.draw(system, n_envs, rng)
    for _ in range(_SETTLING_STEPS):
        noise = dynamics.draw(system, n_envs, rng)
        state = dynamics.step(system, state, rng.random((n_envs, system.n_action)), noise)
    action = rng.random((n_envs, system.n_action))
    before = np.concatenate([dynamics.observed(system, state, noise), action], axis=1)
    noise = dynamics.draw(system, n_envs, rng)
    return before, dynamics.observed(system, dynamics.step(system, state, action, noise), noise)
