"""How much of a partition survives other samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from sklearn.metrics import adjusted_rand_score

from factorization.errors import SettingError
from factorization.grouping import Groups
from factorization.matrix import InformationMatrix, compute_matrix
from factorization.pipeline import GroupingSettings, find_groups
from factorization.samples import Samples, Variable

Resampling = Literal["half", "bootstrap"]

_SHUFFLES = 4  # of every pair of a resample


@dataclass(frozen=True)
class Stability:
    """What the partition becomes with other samples."""

    resampling: Resampling
    scores: tuple[float, ...]  # adjusted Rand index of each resample against the partition of all samples
    groups: tuple[Groups, ...]  # of each resample

    def summary(self) -> dict[str, Any]:
        """Return what goes into the partition's file."""
        low, middle, high = (float(q) for q in np.quantile(self.scores, (0.025, 0.5, 0.975)))
        return {
            "resampling": self.resampling,
            "resamples": len(self.scores),
            "adjusted_rand_median": round(middle, 4),
            "adjusted_rand_95_percent": [round(low, 4), round(high, 4)],
            "adjusted_rand": [round(score, 4) for score in self.scores],
        }

    def share_apart(self, some: frozenset[Variable], others: frozenset[Variable]) -> float:
        """Return the share of resamples in which no variable of `some` is grouped with one of `others`."""
        apart = [{g[v] for v in some}.isdisjoint({g[v] for v in others}) for g in self.groups]
        return float(np.mean(apart))


def resample(
    samples: Samples,
    matrix: InformationMatrix,
    settings: GroupingSettings,
    resamples: int = 10,
    resampling: Resampling = "half",
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Draw samples anew several times, and partition each time.

    "half" draws half of the samples without replacement (Politis and Romano 1994); every draw is then as
    good a sample as the whole, only smaller. "bootstrap" draws as many with replacement (Efron 1979): each
    draw repeats whatever dependence chance put into the samples and adds its own, so that the permutation
    threshold finds more false edges in it than it promises.

    Args:
        samples: all samples.
        matrix: of all samples.
        settings: threshold and grouping.
        resamples: how often.
        resampling: "half" or "bootstrap".
        progress: called with (resamples done, resamples in all).

    Raises:
        SettingError: fewer than one resample, or another resampling.
    """
    if resamples < 1 or resampling not in get_args(Resampling):
        known = get_args(Resampling)
        msg = f"stability: {resamples} resamples by {resampling!r}, expected at least 1, by one of {known}"
        raise SettingError(msg)
    reference = find_groups(matrix, settings)
    fewer = replace(matrix.settings, n_shuffles=min(matrix.settings.n_shuffles, _SHUFFLES))
    groups: list[Groups] = []
    for i in range(resamples):
        rng = np.random.default_rng([matrix.settings.seed, 1, i])
        drawn = samples.half(rng) if resampling == "half" else samples.bootstrapped(rng)
        again = compute_matrix(drawn, fewer)
        groups.append(find_groups(again, settings))
        if progress is not None:
            progress(i + 1, resamples)
    return Stability(resampling, tuple(adjusted_rand(reference, found) for found in groups), tuple(groups))


def adjusted_rand(one: Groups, other: Groups) -> float:
    """Return the adjusted Rand index (Hubert and Arabie 1985) of two groupings of the same variables."""
    return float(adjusted_rand_score([one[v] for v in one], [other[v] for v in one]))
