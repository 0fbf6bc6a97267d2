"""Which cluster each element of the grid belongs to, out of a partition."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.errors import PartitionError
from simulator.partition import FORMAT, Partition, parse_partition, read_partition
from simulator.transmission.types import Int, System

DATA = Path(__file__).parent / "data"
SHIPPED = {  # a word in the environment's name -> the partitions in data/ that fit it
    "case14": ("published", "measured", "distance", "random"),
    "case5": ("distance",),
}
SINGLE = "single"


@dataclass(frozen=True)
class Clusters:
    """The cluster (index) of every element; lines belong to one, though they may end in another."""

    names: tuple[str, ...]
    sub: Int  # (n_sub,)
    line: Int  # (n_line,)
    gen: Int  # (n_gen,)
    load: Int  # (n_load,)
    storage: Int  # (n_storage,)


def choose_partition(environment: str, path: str | None) -> Partition | None:
    """Return the partition in force, or None for one single cluster, without making the environment.

    Args:
        environment: name of the grid2op environment.
        path: of a partition file; "single" for one cluster; or one of `SHIPPED`, which goes by a word in the
            environment's name. None: the published one for 14 substations, elsewhere one cluster.

    Raises:
        PartitionError: the file cannot be read, or no such partition ships for this environment.
    """
    grid = next((word for word in SHIPPED if word in environment), "")
    names = SHIPPED.get(grid, ())
    if path is None:
        path = "published" if "published" in names else SINGLE
    if path == SINGLE:
        return None
    if path in names:
        return read_partition(DATA / f"{grid}_{path}.json")
    if path in {name for some in SHIPPED.values() for name in some}:
        msg = (
            f"partition '{path}' does not ship for 'grid2op:{environment}', expected one of"
            f" {[*names, SINGLE]} or a path; make one with `chorus factorize grid2op:{environment}`"
        )
        raise PartitionError(msg)
    return read_partition(path)


def whole_grid(system: System) -> Partition:
    """Return the partition with all of the grid in one cluster."""
    variables = {"substation": list(range(system.n_sub)), "line": list(range(system.n_line))}
    document = {
        "format": FORMAT,
        "environment": f"grid2op:{system.name}",
        "method": {"name": "none"},
        "clusters": [{"name": "grid", "variables": variables}],
    }
    return parse_partition(json.dumps(document))


def assign(system: System, partition: Partition) -> Clusters:
    """Return the cluster of every element.

    Elements that the partition does not list follow their substation, lines that of their origin.

    Raises:
        PartitionError: a substation is missing, an element does not exist, or a cluster has no substation.
    """
    n = len(partition.clusters)
    sub = _listed(partition, "substation", system.substations)
    missing = np.flatnonzero(sub < 0)
    if missing.size:
        msg = (
            f"partition for 'grid2op:{system.name}': substations {missing.tolist()} are in no cluster,"
            f" expected each of 0 to {system.n_sub - 1} in one; add them to a cluster's 'substation' list"
        )
        raise PartitionError(msg)
    empty = [c.name for i, c in enumerate(partition.clusters) if i not in sub]
    if empty:
        msg = f"partition for 'grid2op:{system.name}': clusters {empty} have no substation; leave them out"
        raise PartitionError(msg)
    if n > 255:
        msg = f"partition for 'grid2op:{system.name}': {n} clusters, expected at most 255"
        raise PartitionError(msg)

    def follow(kind: str, names: tuple[str, ...], at: Int) -> Int:
        listed = _listed(partition, kind, names)
        return np.where(listed >= 0, listed, sub[at] if len(names) else listed)

    return Clusters(
        names=tuple(cluster.name for cluster in partition.clusters),
        sub=sub,
        line=follow("line", system.lines, system.line_or_sub),
        gen=follow("generator", system.generators, system.gen_sub),
        load=follow("load", system.loads, system.load_sub),
        storage=follow("storage", system.storages, system.storage_sub),
    )


def neighbours(system: System, clusters: Clusters) -> dict[int, tuple[int, ...]]:
    """Return, for every cluster, the clusters that a line joins it to."""
    ends = clusters.sub[system.line_or_sub], clusters.sub[system.line_ex_sub]
    joined: dict[int, set[int]] = {index: set() for index in range(len(clusters.names))}
    for a, b in zip(*(end.tolist() for end in ends), strict=True):
        if a != b:
            joined[a].add(b)
            joined[b].add(a)
    return {index: tuple(sorted(others)) for index, others in joined.items()}


def _listed(partition: Partition, kind: str, names: tuple[str, ...]) -> Int:
    out = np.full(len(names), -1, np.int64)
    for index, cluster in enumerate(partition.clusters):
        out[_indices(cluster.variables.get(kind, ()), kind, names, cluster.name)] = index
    return out


def _indices(members: Iterable[int | str], kind: str, names: tuple[str, ...], cluster: str) -> list[int]:
    """Return indices of members that are given by index or by grid2op's name."""
    out = []
    for member in members:
        index = names.index(member) if isinstance(member, str) and member in names else member
        if not isinstance(index, int) or not 0 <= index < len(names):
            msg = (
                f"partition: {kind} {member!r} of cluster '{cluster}' does not exist, expected 0 to"
                f" {len(names) - 1} or one of grid2op's names; was it made for another environment?"
            )
            raise PartitionError(msg)
        out.append(index)
    return out
