"""The one interface that every grid family implements."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Actions, Frame, GridSpec


class Grid(Protocol):
    """E independent copies of one grid that step together.

    Deterministic: the seed and the actions fix every frame. Copies are independent: what is done
    to one never changes another. Copies that end are reset within the same step.
    """

    @property
    def spec(self) -> GridSpec:
        """Return the fixed description."""
        ...

    def reset(self, seed: int | None = None) -> Frame:
        """Start new episodes in all copies; a seed restarts the random streams too."""
        ...

    def step(self, actions: Actions) -> Frame:
        """Advance all copies by one tick.

        Args:
            actions: for every agent its actions, (E,) integers (Discrete) or (E, d) floats (Box).

        Raises:
            ActionError: an agent is missing or unknown, a shape is wrong, a value is out of range or NaN.
        """
        ...

    def fallback(self, agent: str) -> NDArray[np.generic]:
        """Return (E, ...): the actions that stand in for an agent of which nothing was heard."""
        ...

    def close(self) -> None:
        """Release processes and memory; safe to call twice."""
        ...
