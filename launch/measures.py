"""Figures of an episode that a launch file asks for, made from the grid's metrics of every tick.

buses_in_band               mean over the episode's ticks
max worst_df_hz             the largest of them; also min, sum
buses_in_band from 5        the same, from the fifth tick on
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from launch.errors import LaunchError
from launch.suggest import did_you_mean

Float64 = NDArray[np.float64]
Reduction = Literal["mean", "max", "min", "sum"]

_FORM = re.compile(r"(?:(?P<reduction>mean|max|min|sum) +)?(?P<metric>\S+)(?: +from +(?P<first>[1-9]\d*))?")
_START = {"mean": 0.0, "sum": 0.0, "max": -np.inf, "min": np.inf}


@dataclass(frozen=True)
class Measure:
    """One figure of an episode."""

    text: str  # as it was written
    reduction: Reduction
    metric: str  # of the grid
    first: int  # tick of the episode from which on it counts; the first tick is 1

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Read `[mean|max|min|sum] METRIC [from TICK]`.

        Raises:
            LaunchError: the text is not of this form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            msg = f"{text!r} is no measure; write '[max|min|sum] METRIC [from TICK]'"
            raise LaunchError(msg)
        reduction: Reduction = match["reduction"] or "mean"  # type: ignore[assignment]
        return cls(text, reduction, match["metric"], int(match["first"] or 1))


@dataclass
class Running:
    """A measure of E episodes while they are played."""

    measure: Measure
    value: Float64  # (E,)
    ticks: NDArray[np.int64] = field(repr=False)  # (E,) that counted

    @classmethod
    def start(cls, measure: Measure, n_envs: int) -> Running:
        """Begin E episodes."""
        return cls(measure, np.full(n_envs, _START[measure.reduction]), np.zeros(n_envs, np.int64))

    def count(self, tick: int, values: NDArray[np.generic], now: NDArray[np.bool_]) -> None:
        """Take in the metric's values (E,) of a tick in the copies `now` whose episode goes on."""
        if tick < self.measure.first:
            return
        join = {"max": np.maximum, "min": np.minimum}.get(self.measure.reduction, np.add)
        self.value = np.where(now, join(self.value, values.astype(np.float64)), self.value)
        self.ticks += now

    def result(self) -> Float64:
        """Return (E,); NaN where the episode ended before the measure began."""
        value = np.where(self.ticks > 0, self.value, np.nan)
        return value / np.maximum(self.ticks, 1) if self.measure.reduction == "mean" else value


def over_episodes(text: str, values: NDArray[np.float64]) -> float:
    """Return one figure for many episodes, in any shape.

    That is the largest of maxima, the smallest of minima, and the mean of everything else. Episodes that
    ended before the measure began (NaN) do not count; NaN if none does.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return float("nan")
    match Measure.parse(text).reduction:
        case "max":
            return float(finite.max())
        case "min":
            return float(finite.min())
        case _:
            return float(finite.mean())


def parse_measures(
    texts: Sequence[str], metric_names: Sequence[str], say: Callable[[str], None]
) -> list[Measure]:
    """Read the measures that a launch file asks for; one of no metric of the grid is told and left out.

    Raises:
        LaunchError: a measure is not of the form.
    """
    measures = [Measure.parse(text) for text in texts]
    for measure in measures:
        if measure.metric not in metric_names:
            near = did_you_mean(measure.metric, metric_names)
            say(f"evaluator.metrics: {measure.text!r} left out, the grid has no such metric, {near}")
    return [measure for measure in measures if measure.metric in metric_names]
