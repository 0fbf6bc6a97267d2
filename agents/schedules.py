"""Hyperparameters that change over a run, as a launch file writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from agents.errors import SettingsError

SCHEDULED = ("learning_rate", "clip_range")


def with_schedules(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters of an SB3 algorithm, `{start: ..., end: ...}` turned into a linear schedule.

    SB3 asks a schedule for its value after each rollout, by the share of all time steps that remain. So the
    last update has the value `end`, and the first has come one update's share of the way from `start`.

    Raises:
        SettingsError: a schedule has other keys, or values that are not above 0; or a hyperparameter has one
            that can have none.
    """
    return {
        name: _linear(name, value) if isinstance(value, Mapping) and name != "policy_kwargs" else value
        for name, value in hyperparameters.items()
    }


def _linear(name: str, ends: Mapping[str, Any]) -> LinearSchedule:
    if name not in SCHEDULED:
        msg = (
            f"agent settings: hyperparameters.{name} is {dict(ends)}; only {', '.join(SCHEDULED)} may change"
        )
        raise SettingsError(msg)
    numbers = [value for value in ends.values() if _is_positive(value)]
    if set(ends) != {"start", "end"} or len(numbers) != 2:
        msg = (
            f"agent settings: hyperparameters.{name} is {dict(ends)}, expected a number, or start and end, "
            "both above 0"
        )
        raise SettingsError(msg)
    return LinearSchedule(ends["start"], ends["end"], end_fraction=1.0)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
