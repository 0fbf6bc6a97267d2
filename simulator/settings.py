"""Settings of the simulator node, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from simulator.errors import OptionError

LONGEST_TICK_S = 86_400.0  # of wall time, in real time


@dataclass(frozen=True)
class SimulatorSettings:
    """What the simulator node runs and how it treats its agents."""

    grid: str = "grid2op:rte_case14_realistic"
    n_envs: int = 1
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)  # of the grid
    scada: Mapping[str, Any] | None = None  # None: the grid's usual link
    smoothing: float = 0.0  # ρ of action smoothing
    copies_per_scenario: int = 1  # neighbouring copies that meet the same scenario
    mode: Literal["lockstep", "realtime"] = "lockstep"
    on_missing: Literal["error", "fallback"] = "error"  # lock-step: after the deadline
    deadline_s: float = 60.0  # lock-step: how long to wait for an agent that has been heard before
    start_deadline_s: float = 120.0  # and for one that has never been heard
    retry_s: float = 0.5  # lock-step: ask silent agents again after this time
    period_s: float | None = None  # real time: wall time of a tick; None: the grid's own dt
    lifespan_ticks: int = 1  # real time: an older action counts as missing
    max_ticks: int | None = None  # end after so many ticks; None: when all agents have left
    history_ticks: int = 512  # states kept for a critic that missed some
    wait_for: Sequence[str] = ()  # nodes that must be on the bus before the first tick, e.g. the recorder
    companions: Sequence[str] = ()  # agents that do not leave: the run ends when all others have
    run_dir: str | None = None  # where timings are written, and what a restarted simulator has to know

    def __post_init__(self) -> None:
        positive = ("n_envs", "deadline_s", "start_deadline_s", "retry_s", "history_ticks")
        for name in positive:
            if not getattr(self, name) > 0:
                msg = f"simulator: {name} is {getattr(self, name)!r}, expected a positive number"
                raise OptionError(msg)
        if self.period_s is not None and not 0 < self.period_s <= LONGEST_TICK_S:
            expected = f"a positive number of seconds, at most {LONGEST_TICK_S:g}"
            msg = f"simulator: period_s is {self.period_s!r}, expected {expected}"
            raise OptionError(msg)
        if self.mode not in ("lockstep", "realtime"):
            msg = f"simulator: mode is {self.mode!r}, expected 'lockstep' or 'realtime'"
            raise OptionError(msg)
        if self.on_missing not in ("error", "fallback"):
            msg = f"simulator: on_missing is {self.on_missing!r}, expected 'error' or 'fallback'"
            raise OptionError(msg)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping. Raises OptionError for an unknown key."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            msg = f"simulator: unknown settings {unknown}, expected keys out of {sorted(known)}"
            raise OptionError(msg)
        return cls(**values)
