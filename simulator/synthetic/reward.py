"""The reward: how high the values of an agent's block are."""

from __future__ import annotations

import numpy as np

from simulator.frame import Float32
from simulator.synthetic.types import State, System


def block_rewards(system: System, state: State) -> Float32:
    """Return (E, n_blocks): the mean of each block's state components.

    Actions become states by being copied, so the largest actions are best, and an agent has no use for
    what happens in other blocks.
    """
    columns = [state.values[:, system.state_block == i].mean(axis=1) for i in range(system.n_blocks)]
    return np.stack(columns, axis=1).astype(np.float32)
