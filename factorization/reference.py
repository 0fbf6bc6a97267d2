"""Partitions to compare with: by electrical distance, at random, and as published by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from factorization.errors import SettingError
from factorization.grouping import Groups
from factorization.samples import Variable

Float = NDArray[np.float64]

# arXiv 2409.04467 and its code: substations {0, 1, 2, 4} with lines 0 to 6, and the rest.
PUBLISHED_CASE14: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "substation": ((0, 1, 2, 4), (3, 5, 6, 7, 8, 9, 10, 11, 12, 13)),
    "line": (tuple(range(7)), tuple(range(7, 20))),
}


def published_case14() -> Groups:
    """Return the two clusters of the 14-substation grid that the published experiments fixed by hand."""
    return {
        Variable(kind, i): number
        for kind, clusters in PUBLISHED_CASE14.items()
        for number, members in enumerate(clusters)
        for i in members
    }


def electrical_distance(n_nodes: int, ends: NDArray[np.int64], reactance: Float) -> Float:
    """Return (n, n): the resistance distance R_ij = L+_ii + L+_jj − 2 L+_ij (Klein and Randić 1993).

    L is the Laplacian of the grid with branch weights 1/x: between neighbours with many parallel paths
    the distance is short, whatever the number of branches on the shortest path.

    Args:
        n_nodes: number of substations.
        ends: (n_branch, 2) substations that each branch joins.
        reactance: (n_branch,) pu, > 0.
    """
    laplacian = np.zeros((n_nodes, n_nodes))
    for (a, b), weight in zip(ends, 1.0 / reactance, strict=True):
        laplacian[[a, b], [a, b]] += weight
        laplacian[[a, b], [b, a]] -= weight
    inverse = np.linalg.pinv(laplacian)
    diagonal = np.diag(inverse)
    return np.asarray(np.maximum(diagonal[:, None] + diagonal - 2 * inverse, 0.0))


def by_distance(distance: Float, n_clusters: int) -> NDArray[np.int64]:
    """Return (n,): the cluster of each node, by average linkage of a distance matrix.

    Raises:
        SettingError: more clusters than nodes, or none.
    """
    _check_number(n_clusters, len(distance))
    model = AgglomerativeClustering(n_clusters, metric="precomputed", linkage="average")
    return np.asarray(model.fit_predict(distance), np.int64)


def at_random(n: int, n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Return (n,): nodes dealt out at random, as evenly as they go. Raises SettingError."""
    _check_number(n_clusters, n)
    dealt = np.arange(n, dtype=np.int64) % n_clusters
    return np.random.default_rng(seed).permutation(dealt)


def nearest(distance: Float, node: int, among: NDArray[np.int64]) -> int:
    """Return the node of `among` that is nearest to `node`."""
    return int(among[np.argmin(distance[node, among])])


def _check_number(n_clusters: int, n: int) -> None:
    if not 1 <= n_clusters <= n:
        msg = f"partition of {n} nodes into {n_clusters} clusters: expected 1 to {n} clusters"
        raise SettingError(msg)
