"""What each agent sees: the state components of its own block."""

from __future__ import annotations

import numpy as np

from simulator.frame import Float32
from simulator.synthetic.types import Float, System


def agent_names(n_blocks: int) -> tuple[str, ...]:
    """Return one name per block."""
    return tuple(f"block_{i}" for i in range(n_blocks))


def local_views(system: System, measured: Float) -> dict[str, Float32]:
    """Return agent -> (E, number of its state components)."""
    return {
        name: measured[:, system.state_block == i].astype(np.float32)
        for i, name in enumerate(agent_names(system.n_blocks))
    }
