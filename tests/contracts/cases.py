"""The grids that every contract is checked on."""

from __future__ import annotations

from typing import Any, NamedTuple

import simulator
from simulator import World


class Case(NamedTuple):
    """A grid with options that let episodes end within a test."""

    name: str
    copies: int
    options: dict[str, Any]
    scada: dict[str, Any] | None = None  # None: the grid's usual link

    def make(self, seed: int = 0, copies: int | None = None) -> World:
        n_envs = copies or self.copies
        return simulator.make(self.name, n_envs=n_envs, seed=seed, scada=self.scada, **self.options)


LATE_AND_LOSSY = {"default": {"measurement": {"delay": {"fixed": 1}, "loss": 0.2}, "command": {"loss": 0.2}}}
BLANK = {"default": {"measurement": {"loss": 0.3, "on_missing": "default"}}}
CASE14 = "grid2op:rte_case14_realistic"
CASES = {
    "frequency68": Case("frequency68", 3, {"episode_ticks": 6, "contingency_rate": 0.1}),
    "microgrid6": Case("microgrid6", 3, {"episode_ticks": 6}),
    "microgrid20": Case("microgrid20", 2, {"episode_ticks": 6, "actions": "continuous"}),
    "synthetic": Case("synthetic", 3, {"max_steps": 6}),
    "synthetic-random": Case("synthetic", 2, {"case": "random", "max_steps": 6, "weak": 0.1}, LATE_AND_LOSSY),
    "grid2op": Case(CASE14, 2, {"max_steps": 6, "gate": 0.0}),
    "grid2op-both": Case(CASE14, 2, {"max_steps": 6, "gate": 0.0, "actions": "both"}, LATE_AND_LOSSY),
    "grid2op-blank": Case(CASE14, 2, {"max_steps": 6, "gate": 0.0}, BLANK),
}
SMALL = [name for name in CASES if name not in ("synthetic-random", "grid2op-both", "grid2op-blank")]
