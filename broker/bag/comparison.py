"""Compares what came with what was recorded, bit for bit, and keeps the first differences."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from broker.messages import Array

_KEPT = 20  # differences that are described


@dataclass(frozen=True)
class Difference:
    """One array that is not the recorded one."""

    what: str  # agent, or state
    epoch: int
    tick: int
    largest: float  # absolute difference; NaN where shapes or dtypes differ


@dataclass
class Comparison:
    """What came against what was recorded."""

    of: str  # actions or states
    compared: int = 0
    identical: int = 0
    missing: int = 0  # recorded, but nothing came
    unexpected: int = 0  # came, but nothing was recorded
    first_different_tick: int | None = None
    differences: list[Difference] = field(default_factory=list)  # the first of them

    def add(self, what: str, epoch: int, tick: int, came: Array, recorded: Array) -> None:
        """Compare two arrays."""
        self.compared += 1
        if (
            came.dtype == recorded.dtype
            and came.shape == recorded.shape
            and came.tobytes() == recorded.tobytes()
        ):
            self.identical += 1
            return
        if self.first_different_tick is None:
            self.first_different_tick = tick
        if len(self.differences) < _KEPT:
            self.differences.append(Difference(what, epoch, tick, _largest(came, recorded)))

    @property
    def same(self) -> bool:
        """Return whether everything is identical, and something was compared."""
        return self.compared > 0 and self.identical == self.compared and not self.missing

    def __str__(self) -> str:
        text = f"{self.identical} of {self.compared} {self.of} identical"
        text += f", {self.missing} missing" if self.missing else ""
        if self.differences:
            first = self.differences[0]
            text += f"; first different: {first.what} at tick {first.tick}, by up to {first.largest:g}"
        return text

    def write(self, path: Path) -> None:
        """Write the comparison as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def _largest(came: Array, recorded: Array) -> float:
    if came.shape != recorded.shape or not came.size:
        return float("nan")
    return float(np.nanmax(np.abs(came.astype(np.float64) - recorded.astype(np.float64))))
