"""Averages and intervals of learning results.

The interquartile mean and the probability of improvement are those of Agarwal et al., *Deep Reinforcement
Learning at the Edge of the Statistical Precipice*, NeurIPS 2021, arXiv 2108.13264. Their bootstrap draws
every task's runs anew, because each task has runs of its own; here one trained run plays all episodes, so
that its episodes are not independent: whole runs are drawn, then episodes within them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores.

    Scores that the quartiles cut through count by the part that lies inside.

    Raises:
        ValueError: there are no scores.
    """
    ordered = np.sort(np.asarray(scores, np.float64).ravel())
    n = len(ordered)
    if n == 0:
        msg = "interquartile mean of no scores; give at least one"
        raise ValueError(msg)
    edges = np.clip((np.arange(n + 1) - n / 4) / (n / 2), 0, 1)
    return float(np.diff(edges) @ ordered)


def bootstrap(
    scores: ArrayLike,
    statistic: Callable[[Scores], float] = interquartile_mean,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a statistic of scores and its 95 % percentile interval.

    Args:
        scores: (runs, episodes), or (episodes,) of one run. Runs are drawn with replacement, then
            episodes within each drawn run.
        statistic: of an array of scores.
        draws: bootstrap samples.
        seed: of the resampling.
    """
    table = np.atleast_2d(np.asarray(scores, np.float64))
    rng = np.random.default_rng(seed)
    n_runs, n_episodes = table.shape
    runs = rng.integers(n_runs, size=(draws, n_runs, 1))
    episodes = rng.integers(n_episodes, size=(draws, n_runs, n_episodes))
    samples = [statistic(table[r, e]) for r, e in zip(runs, episodes, strict=True)]
    low, high = np.quantile(samples, [0.025, 0.975])
    return Estimate(statistic(table), float(low), float(high))


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return P(ours > theirs) for independent draws, ties counting half (Mann-Whitney U)."""
    a, b = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    above = (a[:, None] > b[None, :]).mean()
    equal = (a[:, None] == b[None, :]).mean()
    return float(above + 0.5 * equal)
