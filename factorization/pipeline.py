"""The way from a matrix of mutual information to a partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from factorization.errors import SettingError
from factorization.grouping import Groups, Method, attach, group
from factorization.matrix import InformationMatrix
from factorization.partition import Partition, clusters_of, find_bridges
from factorization.samples import Variable
from factorization.significance import (
    DEFAULT_FDR,
    DEFAULT_QUANTILE,
    check_fdr,
    check_quantile,
    quantile_edges,
    significant_edges,
)

Bool = NDArray[np.bool_]
Threshold = Literal["permutation", "quantile"]


@dataclass(frozen=True)
class GroupingSettings:
    """How a matrix becomes a partition."""

    threshold: Threshold = "permutation"
    fdr: float = DEFAULT_FDR  # for "permutation"
    quantile: float = DEFAULT_QUANTILE  # for "quantile"
    method: Method = "bicluster"
    n_clusters: int = 0  # for "bicluster"; 0: by the eigengap
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threshold not in ("permutation", "quantile"):
            msg = f"threshold is {self.threshold!r}, expected 'permutation' or 'quantile'"
            raise SettingError(msg)
        check_fdr(self.fdr)
        check_quantile(self.quantile)


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
    stability: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Partition:
    """Return the partition that a matrix gives.

    Args:
        matrix: of mutual information.
        settings: threshold and grouping.
        extra: variables that are not in the matrix, each with the variable in the matrix whose cluster
            it joins: a substation without actions, a generator, a load.
        stability: summary of `factorization.stability.resample`, to be kept with the partition.
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
    method = {"name": settings.method, **{k: v for k, v in asdict(settings).items() if k != "method"}}
    return Partition(matrix.environment, clusters_of(groups), method, about, bridges, stability or {})
