"""A factored Markov decision process: who is copied by whom, and what evolves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class System:
    """Constants. Inputs are the state components, then the action components."""

    copy_probability: (
        Float  # (n_state, n_state + n_action): of input i being copied into component j; rows sum to 1
    )
    state_block: NDArray[np.int64]  # (n_state,) block of each state component
    action_block: NDArray[np.int64]  # (n_action,) block of each action component
    noise: float  # standard deviation of observed values, in units of that of a uniform value on [0, 1]

    @property
    def n_state(self) -> int:
        """Return the number of state components."""
        return len(self.state_block)

    @property
    def n_action(self) -> int:
        """Return the number of action components."""
        return len(self.action_block)

    @property
    def n_blocks(self) -> int:
        """Return the number of blocks."""
        return int(max(self.state_block.max(), self.action_block.max(initial=0))) + 1


@dataclass(frozen=True)
class State:
    """What evolves."""

    values: Float  # (E, n_state) in [0, 1]


@dataclass(frozen=True)
class Noise:
    """The random numbers of one step: dynamics itself is deterministic."""

    choice: Float  # (E, n_state) uniform on [0, 1): which input is copied
    observation: Float  # (E, n_state) standard normal
