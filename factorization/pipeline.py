"""The whole way from a matrix to a partition, and how much of it survives other samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from factorization.errors import SettingError
from factorization.grouping import Groups, Method, attach, group
from factorization.matrix import InformationMatrix, compute_matrix
from factorization.partition import Partition, clusters_of, find_bridges
from factorization.samples import Samples, Variable
from factorization.significance import DEFAULT_FDR, DEFAULT_QUANTILE, quantile_edges, significant_edges

Bool = NDArray[np.bool_]
Threshold = Literal["permutation", "quantile"]


@dataclass(frozen=True)
class GroupingSettings:
    """How a matrix becomes a partition."""

    threshold: Threshold = "permutation"
    fdr: float = DEFAULT_FDR  # for "permutation"
    quantile: float = DEFAULT_QUANTILE  # for "quantile"
    method: Method = "components"
    n_clusters: int = 0  # for "bicluster"; 0: by the eigengap
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threshold not in ("permutation", "quantile"):
            msg = f"threshold is {self.threshold!r}, expected 'permutation' or 'quantile'"
            raise SettingError(msg)


def find_edges(matrix: InformationMatrix, settings: GroupingSettings) -> Bool:
    """Return (n_targets, n_inputs): the edges of the dependence graph."""
    if settings.threshold == "quantile":
        return quantile_edges(matrix, settings.quantile)
    return significant_edges(matrix, settings.fdr)


def find_groups(matrix: InformationMatrix, settings: GroupingSettings) -> Groups:
    """Return the group of every variable."""
    edges = find_edges(matrix, settings)
    return attach(matrix, group(matrix, edges, settings.method, settings.n_clusters, settings.seed))


def make_partition(
    matrix: InformationMatrix,
    settings: GroupingSettings,
    extra: Mapping[Variable, Variable] | None = None,
    stability: Stability | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Partition:
    """Return the partition that a matrix gives.

    Args:
        matrix: of mutual information.
        settings: threshold and grouping.
        extra: variables that are not in the matrix, each with the variable in the matrix whose cluster
            it joins: a substation without actions, a generator, a load.
        stability: as found by `bootstrap`, to be kept with the partition.
        provenance: more to keep: command, date, versions.
    """
    groups = find_groups(matrix, settings)
    clusters = clusters_of(groups)
    bridges = find_bridges(matrix, find_edges(matrix, settings), clusters)
    groups |= {variable: groups[nearest] for variable, nearest in (extra or {}).items()}
    about = {
        "n_samples": matrix.n_samples,
        "samples_sha256": matrix.samples_sha256,
        "matrix_sha256": matrix.sha256,
        "matrix": {key: value for key, value in asdict(matrix.settings).items() if key != "n_jobs"},
        **(provenance or {}),
    }
    found = stability.summary() if stability else {}
    method = {"name": settings.method, **{k: v for k, v in asdict(settings).items() if k != "method"}}
    return Partition(matrix.environment, clusters_of(groups), method, about, bridges, found)


@dataclass(frozen=True)
class Stability:
    """What bootstrap resamples made of the samples."""

    scores: tuple[float, ...]  # adjusted Rand index of each resample against the partition of all samples
    groups: tuple[Groups, ...]  # of each resample

    def summary(self) -> dict[str, Any]:
        """Return what goes into the partition's file."""
        low, middle, high = (float(q) for q in np.quantile(self.scores, (0.025, 0.5, 0.975)))
        return {
            "resamples": len(self.scores),
            "adjusted_rand_median": round(middle, 4),
            "adjusted_rand_95_percent": [round(low, 4), round(high, 4)],
            "adjusted_rand": [round(score, 4) for score in self.scores],
        }

    def share_apart(self, some: frozenset[Variable], others: frozenset[Variable]) -> float:
        """Return the share of resamples in which no variable of `some` is grouped with one of `others`."""
        apart = [{g[v] for v in some}.isdisjoint({g[v] for v in others}) for g in self.groups]
        return float(np.mean(apart))


def bootstrap(
    samples: Samples,
    matrix: InformationMatrix,
    settings: GroupingSettings,
    resamples: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Draw the samples anew with replacement, several times, and partition each time.

    Args:
        samples: all samples.
        matrix: of all samples.
        settings: threshold and grouping.
        resamples: how often.
        progress: called with (resamples done, resamples in all).

    Raises:
        SettingError: fewer than one resample.
    """
    if resamples < 1:
        msg = f"bootstrap: {resamples} resamples, expected at least 1"
        raise SettingError(msg)
    reference = find_groups(matrix, settings)
    groups: list[Groups] = []
    for i in range(resamples):
        rng = np.random.default_rng([matrix.settings.seed, 1, i])
        drawn = samples.take(rng.integers(samples.n, size=samples.n))
        again = compute_matrix(drawn, matrix.settings)
        groups.append(find_groups(again, settings))
        if progress is not None:
            progress(i + 1, resamples)
    return Stability(tuple(adjusted_rand(reference, found) for found in groups), tuple(groups))


def adjusted_rand(one: Groups, other: Groups) -> float:
    """Return the adjusted Rand index (Hubert and Arabie 1985) of two groupings of the same variables."""
    return float(adjusted_rand_score([one[v] for v in one], [other[v] for v in one]))
