"""The options of a microgrid, checked once when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Literal, get_args

from simulator.errors import OptionError
from simulator.microgrid.types import Fidelity

ActionsOption = Literal["discrete", "continuous"]
ObservationOption = Literal["own", "neighbours"]
GraphOption = Literal["electrical", "communication"]
RewardOption = Literal["local", "shared"]


@dataclass(frozen=True)
class Options:
    """What can be chosen about a microgrid; `docs/microgrid.md` explains each."""

    case: str | None = None  # folder with case files; None: those of the grid's name
    actions: ActionsOption = "discrete"
    levels: int = 10  # of discrete actions
    v_min_v: float | None = None  # V, lowest setpoint; None: the case's
    v_max_v: float | None = None  # V, highest setpoint; None: the case's
    observation: ObservationOption = "own"  # neighbours: with the features of the neighbours appended
    graph: GraphOption = "electrical"  # who are neighbours
    reward: RewardOption = "local"
    collapse_reward: float = -10.0  # to every agent, in the tick in which the grid collapses
    fidelity: Fidelity = Fidelity.STANDARD
    tick_s: float = 0.05
    episode_ticks: int = 20
    warm_up_s: float = 0.4  # at nominal setpoints, before the first observation
    load_spread: float = 0.2  # loads are scaled by U(1 - spread, 1 + spread) at reset
    load_walk: float = 0.05  # and by a further U(-walk, walk) added per tick
    frequency_control: bool = True  # the consensus that restores frequency
    partition: str | None = None  # path of a partition over kind "agent"; None: one agent per DG

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            _require(getattr(self, name) in get_args(kind), name, getattr(self, name),
                     f"one of {get_args(kind)}")  # fmt: skip
        for name in ("case", "partition"):
            value = getattr(self, name)
            _require(value is None or isinstance(value, str), name, value, "a path")
        _require(_is_int(self.levels, 2), "levels", self.levels, "an integer >= 2")
        _require(_is_int(self.episode_ticks, 1), "episode_ticks", self.episode_ticks, "an integer >= 1")
        for name in ("v_min_v", "v_max_v"):
            value = getattr(self, name)
            _require(value is None or (_is_number(value) and value > 0), name, value, "a number > 0 (V)")
        _require(_is_number(self.tick_s) and self.tick_s > 0, "tick_s", self.tick_s, "a number > 0 (s)")
        for name in ("warm_up_s", "load_walk"):
            value = getattr(self, name)
            _require(_is_number(value) and value >= 0, name, value, "a number >= 0")
        _require(_is_number(self.load_spread) and 0 <= self.load_spread < 1, "load_spread",
                 self.load_spread, "a number in [0, 1)")  # fmt: skip
        _require(_is_number(self.collapse_reward), "collapse_reward", self.collapse_reward, "a number")
        _require(isinstance(self.frequency_control, bool), "frequency_control", self.frequency_control,
                 "true or false")  # fmt: skip

    def as_json(self) -> dict[str, object]:
        """Return the options as JSON-compatible values."""
        return asdict(self) | {"fidelity": self.fidelity.value}


_CHOICES = {
    "actions": ActionsOption,
    "observation": ObservationOption,
    "graph": GraphOption,
    "reward": RewardOption,
}


def read_options(options: Mapping[str, Any]) -> Options:
    """Return the options out of keyword arguments or a launch file's mapping.

    Raises:
        OptionError: an unknown name, or a value of the wrong type or range.
    """
    known = [f.name for f in fields(Options)]
    unknown = sorted(set(options) - set(known))
    _require(not unknown, "options", unknown, f"names out of {known}")
    values = dict(options)
    if "fidelity" in values:
        levels = [level.value for level in Fidelity]
        _require(values["fidelity"] in levels, "fidelity", values["fidelity"], f"one of {levels}")
        values["fidelity"] = Fidelity(values["fidelity"])
    for name in ("case", "partition"):
        if values.get(name) is not None:
            values[name] = str(values[name])
    return Options(**values)


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _require(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"microgrid: option '{name}' is {got!r}, expected {expected}"
        raise OptionError(msg)
