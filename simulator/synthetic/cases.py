"""Factored Markov decision processes: the published one, and random ones with a known partition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.errors import OptionError
from simulator.synthetic.types import System


def published() -> System:
    """Return the synthetic example of arXiv 2409.04467: blocks {s0, s2, s4 | a0, a1} and {s1, s3 | a2}.

    Each next-state component copies one component of its block, drawn at random with equal probability.
    """
    return from_blocks(np.array([0, 1, 0, 1, 0]), np.array([0, 0, 1]))


def from_blocks(state_block: np.ndarray, action_block: np.ndarray, noise: float = 0.0) -> System:
    """Return a process in which each component copies any component of its block, all alike."""
    block = np.concatenate([state_block, action_block])
    related = (state_block[:, None] == block).astype(np.float64)
    return System(related / related.sum(axis=1, keepdims=True), state_block, action_block, noise)


def random(
    seed: int,
    blocks: Sequence[tuple[int, int]],
    noise: float = 0.0,
    weak: float = 0.0,
    overlap: int = 0,
    parents: int = 3,
) -> System:
    """Return a random process of given blocks, its components in random order.

    Every block is connected: its state components form a ring, and every action component is copied by
    at least one of them. Further parents within the block are drawn at random, and so are the
    probabilities of copying each.

    Args:
        seed: of everything random.
        blocks: (number of state components, number of action components) of each block; at least one state.
        noise: observation noise; 0.1 is 10 % of the spread of the values.
        weak: probability that a component copies from another block instead of its own.
        overlap: number of state components that copy, besides their own block, one input of the next block
            as often as those of their own: bridges.
        parents: largest number of inputs that a component copies, beyond those that connect its block.

    Raises:
        OptionError: a block without state components, or a number out of its range.
    """
    shapes = bool(blocks) and all(s >= 1 and a >= 0 for s, a in blocks)
    if not (shapes and 0 <= weak < 1 and 0 <= noise < np.inf and parents >= 1):
        msg = (
            f"random factored process: blocks {list(blocks)}, noise {noise}, weak {weak}, parents {parents}; "
            "expected blocks of at least one state component, noise in [0, inf), weak in [0, 1), parents >= 1"
        )
        raise OptionError(msg)
    rng = np.random.default_rng(seed)
    state_block = rng.permutation(np.repeat(np.arange(len(blocks)), [s for s, _ in blocks]))
    action_block = rng.permutation(np.repeat(np.arange(len(blocks)), [a for _, a in blocks]))
    n_state = len(state_block)
    weight = np.zeros((n_state, n_state + len(action_block)))
    for number in range(len(blocks)):
        states = np.flatnonzero(state_block == number)
        actions = n_state + np.flatnonzero(action_block == number)
        weight[states, np.roll(states, 1)] = rng.uniform(0.7, 1.3, len(states))
        for action in actions:
            weight[rng.choice(states), action] = rng.uniform(0.7, 1.3)
        members = np.concatenate([states, actions])
        for state in states:
            chosen = rng.choice(members, min(parents - 1, len(members)), replace=False)
            weight[state, chosen] = rng.uniform(0.7, 1.3, len(chosen))
    weight /= weight.sum(axis=1, keepdims=True)
    return System(
        _coupled(weight, state_block, action_block, weak, overlap, rng), state_block, action_block, noise
    )


def _coupled(
    weight: np.ndarray, state_block: np.ndarray, action_block: np.ndarray, weak: float, overlap: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Return the copy probabilities with couplings between blocks added."""
    block = np.concatenate([state_block, action_block])
    n_blocks = int(block.max()) + 1
    if n_blocks == 1:
        return weight
    for state in rng.permutation(len(state_block))[:overlap]:
        following = np.flatnonzero(block == (state_block[state] + 1) % n_blocks)
        weight[state, rng.choice(following)] = weight[state].max()
    weight = weight / weight.sum(axis=1, keepdims=True)
    if weak > 0:
        other = np.zeros_like(weight)
        for state in range(len(state_block)):
            other[state, rng.choice(np.flatnonzero(block != state_block[state]))] = weak
        weight = (1 - weak) * weight + other
    return np.asarray(weight)
