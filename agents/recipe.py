"""What an agent is to remember of an episode: the settings, and the recipe for features made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Self

import numpy as np

from agents.errors import SettingsError

_USUAL_TIME_TICKS = 50


@dataclass(frozen=True)
class MemorySettings:
    """What is remembered; nothing by default.

    Raises:
        SettingsError: a value is of the wrong type or out of range.
    """

    observations: int = 1  # the newest and those before it
    actions: int = 0  # the last ones sent
    lags: Mapping[str, Sequence[int]] = field(default_factory=dict)  # feature or pattern -> ticks ago
    integrals: tuple[str, ...] = ()  # features by name, or by pattern, such as "*/v_bd"
    integral_time_s: float | None = None  # sums are divided by it; None: 50 ticks
    leak: float = 0.0  # share of a sum that is forgotten each tick

    def __post_init__(self) -> None:
        _require(_is_count(self.observations, 1), "observations", self.observations, "at least 1")
        _require(_is_count(self.actions, 0), "actions", self.actions, "0 or more")
        _require(_are_lags(self.lags), "lags", self.lags, "a list of ticks ago, 1 or more, per feature")
        names = self.integrals
        listed = isinstance(names, Sequence) and not isinstance(names, str)
        _require(listed and all(isinstance(n, str) for n in names), "integrals", names, "a list of features")
        _require(len(set(names)) == len(names), "integrals", names, "each feature once")
        object.__setattr__(self, "integrals", tuple(names))
        time_s = self.integral_time_s
        positive = time_s is None or (_is_number(time_s) and 0.0 < time_s < np.inf)
        _require(positive, "integral_time_s", time_s, "seconds, more than 0")
        _require(_is_number(self.leak) and 0.0 <= self.leak <= 1.0, "leak", self.leak, "0 to 1")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from the `memory` part of an agent's settings. Raises SettingsError for an unknown key."""
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        _require(not unknown, "keys", unknown, f"out of {known}")
        return cls(**values)

    @property
    def is_empty(self) -> bool:
        """Return whether an agent sees no more than what it is shown."""
        nothing_older = not self.actions and not self.lags and not self.integrals
        return self.observations == 1 and nothing_older


@dataclass(frozen=True)
class Recipe:
    """How features are made of what is remembered, without names and units; saved with the model.

    Features, in order: the observations, newest last; the actions, newest last; the running sums; what single
    features were some ticks ago; the command of the rule that is corrected.
    """

    observations: int
    actions: int
    columns: tuple[int, ...]  # of an observation, those that are summed up
    gain: float  # of a feature in its sum, per tick: dt over the integral time
    leak: float
    past: tuple[tuple[int, int], ...] = ()  # (column of an observation, ticks ago)
    corrects: Mapping[str, Any] | None = None  # agents.correction: the rule whose commands are corrected

    @classmethod
    def of(cls, settings: MemorySettings, feature_names: Sequence[str], dt_s: float) -> Self:
        """Return the recipe for one agent's observations.

        Args:
            settings: what is remembered.
            feature_names: of an observation.
            dt_s: simulation time of a tick.

        Raises:
            SettingsError: an integral or a lag is asked of a feature that the agent is not shown.
        """
        names = feature_names
        columns = [column for wanted in settings.integrals for column in _find("integrals", wanted, names)]
        past = [
            (column, lag)
            for wanted, lags in settings.lags.items()
            for column in _find("lags", wanted, names)
            for lag in lags
        ]
        time_s = settings.integral_time_s or _USUAL_TIME_TICKS * dt_s
        return cls(
            settings.observations,
            settings.actions,
            tuple(dict.fromkeys(columns)),  # two patterns may match one feature
            dt_s / time_s,
            settings.leak,
            tuple(dict.fromkeys(past)),
        )

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> Self:
        """Return what `saved` gave."""
        past = tuple((int(column), int(lag)) for column, lag in values.get("past", ()))
        return cls(**{**values, "columns": tuple(values["columns"]), "past": past})

    def saved(self) -> dict[str, Any]:
        """Return the recipe as JSON can hold it."""
        past = [list(pair) for pair in self.past]
        values = {**asdict(self), "columns": list(self.columns), "past": past}
        return {key: value for key, value in values.items() if value is not None}


def _find(key: str, wanted: str, names: Sequence[str]) -> list[int]:
    found = [i for i, name in enumerate(names) if name == wanted]
    found = found or [i for i, name in enumerate(names) if fnmatchcase(name, wanted)]
    _require(bool(found), key, wanted, f"one of the agent's features, {', '.join(names)}")
    return found


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_lags(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(lags, Sequence) and len(lags) > 0 and all(_is_count(lag, 1) for lag in lags)
        for lags in value.values()
    )


def _require(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"agent settings: memory.{name} is {got!r}, expected {expected}"
        raise SettingsError(msg)
