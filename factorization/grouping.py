"""From the dependence graph to groups: components, co-clustering, communities.

Two variables that depend on the same targets, or on each other, belong together. A variable that is
an input and a target (a state component before and after) is one node of the graph.
"""

from __future__ import annotations

from typing import Literal, get_args

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import SpectralCoclustering

from factorization.errors import SettingError
from factorization.matrix import InformationMatrix
from factorization.samples import Variable

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Method = Literal["components", "bicluster", "community"]
Groups = dict[Variable, int]  # variable -> number of its group; without an edge: absent

_RESTARTS = 20  # Louvain's result depends on the order of visits: the best of so many is kept


def group(
    matrix: InformationMatrix, edges: Bool, method: Method, n_clusters: int = 0, seed: int = 0
) -> Groups:
    """Return the group of every variable that has an edge; groups are numbered by their first variable.

    Args:
        matrix: of mutual information.
        edges: (n_targets, n_inputs) True where a pair depends on each other.
        method: "components": connected components (the published rule); "bicluster": spectral
            co-clustering (Dhillon 2001) of the values on the edges, after which every variable goes where
            most of its information goes; "community": the division of the
            graph with the largest modularity (Louvain, Blondel et al. 2008), edges weighing their value.
        n_clusters: for "bicluster": how many; 0 lets the largest gap of the singular values decide.
        seed: of co-clustering and of community detection.

    Raises:
        SettingError: an unknown method, or more clusters than variables with edges.
    """
    if method not in get_args(Method):
        msg = f"grouping method is {method!r}, expected one of {get_args(Method)}"
        raise SettingError(msg)
    weights = np.where(edges, np.maximum(matrix.net, 1e-12), 0.0)
    if not edges.any():
        return {}
    if method == "components":
        groups = _components(matrix, weights)
    elif method == "bicluster":
        groups = _settled(matrix, weights, _bicluster(matrix, weights, n_clusters, seed))
    else:
        groups = _community(matrix, weights, seed)
    return _renumbered(groups, matrix.variables)


def _components(matrix: InformationMatrix, weights: Float) -> Groups:
    variables = matrix.variables
    number = {variable: i for i, variable in enumerate(variables)}
    rows, columns = np.nonzero(weights)
    ends = [number[matrix.targets[i]] for i in rows], [number[matrix.inputs[j]] for j in columns]
    graph = coo_array((np.ones(len(rows)), ends), shape=(len(variables), len(variables)))
    labels = connected_components(graph, directed=False)[1]
    return {variables[i]: int(labels[i]) for i in sorted({*ends[0], *ends[1]})}


def _community(matrix: InformationMatrix, weights: Float, seed: int) -> Groups:
    graph = nx.Graph()
    for i, j in zip(*np.nonzero(weights), strict=True):
        target, source, weight = matrix.targets[i], matrix.inputs[j], float(weights[i, j])
        if graph.has_edge(target, source):
            weight += graph[target][source]["weight"]
        graph.add_edge(target, source, weight=weight)
    divisions = [nx.community.louvain_communities(graph, seed=seed + i) for i in range(_RESTARTS)]
    best = max(divisions, key=lambda division: nx.community.modularity(graph, division))
    return {variable: number for number, members in enumerate(best) for variable in members}


def _bicluster(matrix: InformationMatrix, weights: Float, n_clusters: int, seed: int) -> Groups:
    tied = _tied(matrix, weights)
    rows, columns = np.flatnonzero(tied.any(axis=1)), np.flatnonzero(tied.any(axis=0))
    part = tied[np.ix_(rows, columns)]
    wanted = n_clusters or eigengap(part)
    if wanted > min(part.shape):
        msg = (
            f"bicluster: {wanted} clusters of {part.shape[0]} targets and {part.shape[1]} inputs with edges, "
            f"expected at most {min(part.shape)}"
        )
        raise SettingError(msg)
    if wanted == 1:
        row_labels, column_labels = np.zeros(len(rows), int), np.zeros(len(columns), int)
    else:
        model = SpectralCoclustering(wanted, random_state=seed).fit(part)
        row_labels, column_labels = model.row_labels_, model.column_labels_
    groups = {matrix.inputs[j]: int(label) for j, label in zip(columns, column_labels, strict=True)}
    groups |= {matrix.targets[i]: int(label) for i, label in zip(rows, row_labels, strict=True)}
    return groups


def _settled(matrix: InformationMatrix, weights: Float, groups: Groups) -> Groups:
    """Move variables, one by one, to the cluster with which they share most, until none moves.

    Co-clustering looks at densities, and puts a bridge where the average of its values is larger. What
    counts for agents is how much passes between clusters: every move here makes that sum smaller, and so
    the moves come to an end. The last input of a cluster stays, and so does the last target.
    """
    clusters = dict(groups)
    shares: dict[Variable, dict[Variable, float]] = {variable: {} for variable in clusters}
    for i, j in zip(*np.nonzero(weights), strict=True):
        target, source = matrix.targets[i], matrix.inputs[j]
        if target != source:
            for one, other in ((target, source), (source, target)):
                shares[one][other] = shares[one].get(other, 0.0) + float(weights[i, j])
    sides = (frozenset(matrix.inputs), frozenset(matrix.targets))
    moved = True
    while moved:
        moved = False
        for variable, near in shares.items():
            own = clusters[variable]
            totals = dict.fromkeys([own], 0.0)
            for other, value in near.items():
                totals[clusters[other]] = totals.get(clusters[other], 0.0) + value
            best = max(totals, key=lambda number: totals[number])
            last = any(
                variable in side
                and not any(v != variable and clusters[v] == own for v in side if v in clusters)
                for side in sides
            )
            if totals[best] > totals[own] * (1 + 1e-9) and not last:
                clusters[variable] = best
                moved = True
    return clusters


def _tied(matrix: InformationMatrix, weights: Float) -> Float:
    """Return the weights with the before and the after of a variable tied to each other."""
    tied = weights.copy()
    column = {variable: j for j, variable in enumerate(matrix.inputs)}
    for i, target in enumerate(matrix.targets):
        if target in column and weights[i].any():
            tied[i, column[target]] = max(weights[i].max(), weights[:, column[target]].max())
    return tied


def eigengap(weights: Float) -> int:
    """Return the number of clusters after which the singular values of the scaled weights fall most.

    The weights are scaled as in Dhillon 2001, eq. 11: D1^-1/2 A D2^-1/2. K blocks without ties between
    them have K singular values of exactly 1.
    """
    scale = np.sqrt(np.outer(weights.sum(axis=1), weights.sum(axis=0)))
    singular = np.linalg.svd(weights / scale, compute_uv=False)
    gaps = singular - np.append(singular[1:], 0.0)
    most = max(1, (min(weights.shape) + 1) // 2)  # a cluster has at least two members of a side, mostly
    return int(np.argmax(gaps[:most])) + 1


def _renumbered(groups: Groups, order: tuple[Variable, ...]) -> Groups:
    numbers: dict[int, int] = {}
    return {v: numbers.setdefault(groups[v], len(numbers)) for v in order if v in groups}


def attach(matrix: InformationMatrix, groups: Groups) -> Groups:
    """Return the groups with every variable in one.

    A variable without an edge joins the group with whose variables it shares most, if that is more
    than nothing; otherwise it is a group of its own.
    """
    result = dict(groups)
    column = {variable: j for j, variable in enumerate(matrix.inputs)}
    row = {variable: i for i, variable in enumerate(matrix.targets)}
    for variable in matrix.variables:
        if variable in groups:
            continue
        shared: dict[int, float] = {}
        for other, number in groups.items():
            value = 0.0
            if variable in column and other in row:
                value += matrix.net[row[other], column[variable]]
            if variable in row and other in column:
                value += matrix.net[row[variable], column[other]]
            shared[number] = max(shared.get(number, 0.0), value)
        best = max(shared, key=lambda number: shared[number], default=-1)
        alone = best < 0 or shared[best] <= 0
        result[variable] = max(result.values(), default=-1) + 1 if alone else best
    return _renumbered(result, matrix.variables)
