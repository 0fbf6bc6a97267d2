"""The options of a transmission grid, checked once when they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from simulator.errors import OptionError

BUS_KINDS = ("set_bus", "change_bus")
LINE_KINDS = ("set_line_status", "change_line_status")
POWER_KINDS = ("redispatch", "curtail", "storage")
KINDS = BUS_KINDS + LINE_KINDS + POWER_KINDS

ActionsOption = Literal["topology", "continuous", "both"]


@dataclass(frozen=True)
class Options:
    """What can be chosen about `grid2op:<environment>`; `docs/grid2op.md` explains each."""

    test: bool = True  # bundled data; False: a data set that grid2op has downloaded
    partition: str | None = None  # path, "single", or a name in clusters.SHIPPED; None: choose_partition
    border: bool = False  # show both clusters all of a line that joins them
    workers: int = 0  # processes that share the copies; 0: all in this one
    forecasts: bool = False  # read the forecasts that look_ahead needs; a step costs about twice as much
    actions: ActionsOption = "topology"
    kinds: tuple[str, ...] = ("set_bus", "set_line_status", *POWER_KINDS)
    max_elements: int = 8  # larger substations have no bus actions (2^(n-1) of them)
    alone_lines: bool = False  # also bus actions that leave one line end alone on a bus
    gate: float = 0.9  # agents are asked when the largest rho is at least this; 0: always
    auto_reconnect: bool = True  # while agents are not asked, reconnect the lines that may be
    split: Literal["train", "eval", "all"] = "train"
    chronics: tuple[str, ...] | None = None  # names of the chronics to draw from; None: all
    scenarios: tuple[tuple[int, int], ...] | None = None  # (chronic, start step): played in this order
    max_steps: int | None = 288  # longest episode; None: to the end of the split or chronic
    cooldown_substation: int | None = 3  # steps; None here and below: as the environment has it
    cooldown_line: int | None = 3  # steps
    reconnection: int | None = 12  # steps until a line that protection tripped may be reconnected
    overflow_allowed: int | None = 3  # steps above the limit before protection trips a line
    max_substations_changed: int | None = 1  # per step, over all agents
    max_lines_changed: int | None = 1  # per step, over all agents
    limit_infeasible: bool = True  # grid2op cuts back curtailment and storage that cannot be balanced
    opponent: bool = True  # the environment's own opponent attacks, where it has one
    reward: Literal["shared", "local"] = "shared"
    reward_survival: float = 0.5  # per step
    reward_margin: float = 0.5  # per step, times the mean margin of the lines
    reward_overload: float = 0.5  # per step and line, times (rho - reward_overload_from)
    reward_overload_from: float = 1.0  # rho from which on a line counts as overloaded
    reward_game_over: float = -10.0  # once

    def __post_init__(self) -> None:
        _choice("actions", self.actions, ("topology", "continuous", "both"))
        _choice("split", self.split, ("train", "eval", "all"))
        _choice("reward", self.reward, ("shared", "local"))
        for flag in FLAGS:
            _require(isinstance(getattr(self, flag), bool), flag, getattr(self, flag), "true or false")
        for name, least in (("workers", 0), ("max_elements", 2)):
            _require(_is_int(getattr(self, name), least), name, getattr(self, name), f"an integer >= {least}")
        self._check_rules()
        self._check_scenarios()
        _require(_is_number(self.gate) and self.gate >= 0, "gate", self.gate, "a number >= 0 (rho)")
        start = self.reward_overload_from
        _require(_is_number(start) and start >= 0, "reward_overload_from", start, "a number >= 0 (rho)")
        for name in REWARDS:
            _require(_is_number(getattr(self, name)), name, getattr(self, name), "a finite number")

    def _check_rules(self) -> None:
        for name in RULES:
            value = getattr(self, name)
            _require(value is None or _is_int(value, 0), name, value, "an integer >= 0, or null")
        _require(self.max_steps is None or _is_int(self.max_steps, 1), "max_steps", self.max_steps,
                 "an integer >= 1, or null")  # fmt: skip
        known = _are_texts(self.kinds) and set(self.kinds) <= set(KINDS) and len(self.kinds) > 0
        _require(known, "kinds", self.kinds, f"some of {KINDS}")

    def _check_scenarios(self) -> None:
        if self.scenarios is not None:
            ok = all(_is_pair(scenario) for scenario in self.scenarios)
            _require(ok and bool(self.scenarios), "scenarios", self.scenarios,
                     "pairs (chronic index, start step), at least one")  # fmt: skip
        named = self.chronics is None or _are_texts(self.chronics)
        _require(named, "chronics", self.chronics, "a list of names (in quotes, where they are digits)")

    @property
    def agent_kinds(self) -> tuple[str, ...]:
        """Return the kinds of agents that each cluster has."""
        return ("topology", "continuous") if self.actions == "both" else (self.actions,)

    def as_json(self) -> dict[str, object]:
        """Return the options as JSON-compatible values."""
        return asdict(self)


FLAGS = (
    "test", "border", "forecasts", "alone_lines", "auto_reconnect", "limit_infeasible", "opponent",
)  # fmt: skip
REWARDS = (
    "reward_survival", "reward_margin", "reward_overload", "reward_overload_from", "reward_game_over",
)  # fmt: skip
RULES = (
    "cooldown_substation", "cooldown_line", "reconnection", "overflow_allowed",
    "max_substations_changed", "max_lines_changed",
)  # fmt: skip


def read_options(options: Mapping[str, Any]) -> Options:
    """Return the options out of keyword arguments or a launch file's mapping.

    Raises:
        OptionError: an unknown name, or a value of the wrong type or range.
    """
    known = [f.name for f in fields(Options)]
    unknown = sorted(set(options) - set(known))
    _require(not unknown, "options", unknown, f"names out of {known}")
    values = dict(options)
    for name in ("kinds", "chronics", "scenarios"):
        if values.get(name) is not None:
            values[name] = _tuple(name, values[name])
    if values.get("partition") is not None:
        _require(isinstance(values["partition"], str | Path), "partition", values["partition"], "a path")
        values["partition"] = str(values["partition"])
    return Options(**values)


def _tuple(name: str, value: object) -> tuple[Any, ...]:
    _require(isinstance(value, Sequence) and not isinstance(value, str), name, value, "a list")
    assert isinstance(value, Sequence)
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_int(number, 0) for number in value)


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _choice(name: str, value: object, known: tuple[str, ...]) -> None:
    _require(value in known, name, value, f"one of {known}")


def _require(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"grid2op grid: option '{name}' is {got!r}, expected {expected}"
        raise OptionError(msg)
