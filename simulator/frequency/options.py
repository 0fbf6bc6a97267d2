"""The options of the frequency grid, with their defaults and ranges; docs/frequency68.md explains each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Self, get_args, get_type_hints

from simulator.errors import OptionError
from simulator.frequency.types import Flow

CONTINGENCY_KINDS = ("machine", "branch", "load")
Pair = tuple[float, float]
Words = tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """What a user may change; checked when made."""

    # the grid
    demand_mw: float = 3500.0  # scheduled demand
    inertia_factor: float = 1.0  # multiplies every machine's inertia
    governor_share: float = 0.6  # share of the governed machines' droop in service
    flow: str = "linear"  # or "sine"
    integration_step_s: float = 0.01  # of the sine flow
    case: str = ""  # folder with bus.csv, branch.csv, machine.csv, sites.csv; empty: the 68-bus case
    # who acts
    partition: str = ""  # path of a partition of kind "agent"; empty: one agent per unit
    battery_mwh: float = 100.0  # energy of each battery
    battery_soc: float = 0.5  # state of charge at the start
    soc_in_state: bool = False  # append the states of charge to the global state
    # what happens
    episode_ticks: int = 500
    load_sigma: float = 0.024  # standard deviation of each bus load's own noise, share of its schedule
    common_sigma: float = 0.006  # of the noise common to all loads
    trend_sigma: float = 0.01  # of the load trend per 1000 s
    renewable_share: float = 0.2  # mean renewable output over scheduled demand
    renewable_sigma_mw: float = 5.0  # of each renewable's own noise, at the default share
    ramps_per_hour: float = 9.0  # fleet ramp events: one per 400 s
    ramp_mw: Pair = (100.0, 300.0)  # size of a ramp event, at the default share
    ramp_s: Pair = (60.0, 120.0)  # its duration
    forecast_error: float = 0.1  # standard deviation of the relative error
    contingency_rate: float = 0.001  # probability per tick
    contingency_kinds: Words = CONTINGENCY_KINDS
    contingency_mw: Pair = (60.0, 100.0)  # what a machine or load loses
    repair_s: Pair = (120.0, 600.0)

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for option in fields(self):
            value = _typed(option.name, getattr(self, option.name), hints[option.name])
            object.__setattr__(self, option.name, value)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            ends = value if isinstance(value, tuple) else (value,)
            ordered = list(ends) == sorted(ends)
            _require(ordered and all(low <= v <= high for v in ends), name, value, f"in [{low:g}, {high:g}]")
        _require(self.flow in tuple(Flow), "flow", self.flow, f"one of {[str(f) for f in Flow]}")
        stray = sorted(set(self.contingency_kinds) - set(CONTINGENCY_KINDS))
        _require(not stray, "contingency_kinds", stray, f"names out of {list(CONTINGENCY_KINDS)}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make options from names and values. Raises OptionError for unknown names and bad values."""
        known = [option.name for option in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            msg = f"grid 'frequency68': unknown options {unknown}; known are {known}"
            raise OptionError(msg)
        return cls(**values)

    def as_json(self) -> dict[str, object]:
        """Return the resolved options with JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


_RANGES: dict[str, tuple[float, float]] = {
    "demand_mw": (100.0, 1e6),
    "inertia_factor": (0.05, 20.0),
    "governor_share": (0.0, 1.0),
    "integration_step_s": (1e-4, 0.02),
    "battery_mwh": (0.01, 1e6),
    "battery_soc": (0.0, 1.0),
    "episode_ticks": (1, 1_000_000),
    "load_sigma": (0.0, 1.0),
    "common_sigma": (0.0, 1.0),
    "trend_sigma": (0.0, 1.0),
    "renewable_share": (0.0, 1.0),
    "renewable_sigma_mw": (0.0, 100.0),
    "ramps_per_hour": (0.0, 360.0),
    "ramp_mw": (0.0, 300.0),
    "ramp_s": (2.0, 3600.0),
    "forecast_error": (0.0, 10.0),
    "contingency_rate": (0.0, 1.0),
    "contingency_mw": (0.0, 1e6),
    "repair_s": (2.0, 1e6),
}


def _require(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"grid 'frequency68': option '{name}' is {got!r}, expected {expected}"
        raise OptionError(msg)


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Return the value as its declared type, or refuse it; whole numbers pass as numbers."""
    if hint is bool:
        _require(isinstance(value, bool), name, value, "true or false")
        return value
    if hint is str:
        _require(isinstance(value, str) or hasattr(value, "__fspath__"), name, value, "a text")
        return str(value)
    if hint is int:
        _require(isinstance(value, int) and not isinstance(value, bool), name, value, "a whole number")
        return value
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        _require(number, name, value, "a finite number")
        return float(value)
    _require(isinstance(value, list | tuple), name, value, "a list")
    kind = get_args(hint)[0]
    if hint == Pair:
        _require(len(value) == 2, name, value, "two numbers [least, most]")
    return tuple(_typed(name, item, kind) for item in value)
