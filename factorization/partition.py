"""A partition: every variable of a grid in exactly one cluster, as a JSON file with its provenance.

The format, `gridchorus-partition/1`, is what the simulator reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from factorization.atomic import write_bytes
from factorization.errors import SampleError, SettingError
from factorization.grouping import Bool, Groups
from factorization.matrix import InformationMatrix
from factorization.samples import Variable

FORMAT = "gridchorus-partition/1"


@dataclass(frozen=True)
class Cluster:
    """A named set of variables."""

    name: str
    variables: tuple[Variable, ...]


@dataclass(frozen=True)
class Bridge:
    """A variable that also informs about targets outside of its cluster."""

    variable: Variable
    outside: float  # share of its information on edges that leave its cluster
    clusters: tuple[str, ...]  # that it reaches


@dataclass(frozen=True)
class Partition:
    """Clusters that do not overlap, and how they were found."""

    environment: str
    clusters: tuple[Cluster, ...]
    method: Mapping[str, Any] = field(default_factory=dict)  # name and parameters
    provenance: Mapping[str, Any] = field(
        default_factory=dict
    )  # matrix_sha256, n_samples, seed, command, ...
    bridges: tuple[Bridge, ...] = ()
    stability: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [cluster.name for cluster in self.clusters]
        if not names or len(set(names)) < len(names):
            msg = f"partition of {self.environment}: cluster names {names}, expected some, no two alike"
            raise SettingError(msg)
        owner: dict[Variable, str] = {}
        for cluster in self.clusters:
            if not cluster.variables:
                msg = f"partition of {self.environment}: cluster '{cluster.name}' is empty; leave it out"
                raise SettingError(msg)
            for variable in cluster.variables:
                if owner.setdefault(variable, cluster.name) != cluster.name:
                    msg = (
                        f"partition of {self.environment}: {variable} is in '{owner[variable]}' and in "
                        f"'{cluster.name}', expected in one"
                    )
                    raise SettingError(msg)

    @property
    def variables(self) -> frozenset[Variable]:
        """Return all variables."""
        return frozenset(v for cluster in self.clusters for v in cluster.variables)

    def labels(self, variables: Iterable[Variable]) -> list[int]:
        """Return the number of the cluster of each variable. Raises KeyError for a stranger."""
        number = {v: i for i, cluster in enumerate(self.clusters) for v in cluster.variables}
        return [number[v] for v in variables]

    def require(self, variables: Iterable[Variable]) -> None:
        """Raise SettingError unless the partition covers exactly these variables."""
        wanted = frozenset(variables)
        missing, extra = sorted(map(str, wanted - self.variables)), sorted(map(str, self.variables - wanted))
        if missing or extra:
            msg = f"partition of {self.environment}: lacks {missing} and has {extra} too much"
            raise SettingError(msg)

    def to_json(self) -> str:
        """Return the JSON text."""
        document = {
            "format": FORMAT,
            "environment": self.environment,
            "method": dict(self.method),
            "provenance": dict(self.provenance),
            "clusters": [
                {"name": c.name, "variables": _by_kind(c.variables)} for c in self.clusters
            ],
            "bridges": [
                {
                    "kind": b.variable.kind,
                    "id": b.variable.id,
                    "outside": round(b.outside, 4),
                    "reaches": list(b.clusters),
                }
                for b in self.bridges
            ],
            "stability": dict(self.stability),
        }  # fmt: skip
        return json.dumps(document, indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write the JSON file, whole or not at all. Raises OutputError."""
        write_bytes(path, self.to_json().encode())


def from_json(text: str, where: str = "partition") -> Partition:
    """Read a partition back. Raises SampleError if the text is not one."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            msg = f"{where}: format is {document['format']!r}, expected '{FORMAT}'"
            raise SampleError(msg)
        clusters = tuple(
            Cluster(c["name"], tuple(Variable(kind, i) for kind, ids in c["variables"].items() for i in ids))
            for c in document["clusters"]
        )
        bridges = tuple(
            Bridge(Variable(b["kind"], b["id"]), b["outside"], tuple(b["reaches"]))
            for b in document.get("bridges", ())
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        msg = f"{where}: not a partition ({type(error).__name__}: {error}); make one with `chorus factorize`"
        raise SampleError(msg) from error
    return Partition(
        document.get("environment", ""), clusters, document.get("method", {}), document.get("provenance", {}),
        bridges, document.get("stability", {}),
    )  # fmt: skip


def read_partition(path: Path) -> Partition:
    """Read a partition from a file. Raises SampleError."""
    try:
        return from_json(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        msg = f"partition {path}: cannot be read ({error.strerror})"
        raise SampleError(msg) from error


def clusters_of(groups: Groups, prefix: str = "cluster") -> tuple[Cluster, ...]:
    """Return numbered clusters, `cluster_0` first."""
    members: dict[int, list[Variable]] = {}
    for variable, number in groups.items():
        members.setdefault(number, []).append(variable)
    return tuple(
        Cluster(
            f"{prefix}_{i}", tuple(sorted(members[number], key=lambda v: (v.kind, str(type(v.id)), v.id)))
        )
        for i, number in enumerate(sorted(members))
    )


def find_bridges(matrix: InformationMatrix, edges: Bool, clusters: tuple[Cluster, ...]) -> tuple[Bridge, ...]:
    """Return the inputs with edges that leave their cluster, the widest bridge first."""
    home = {v: c.name for c in clusters for v in c.variables}
    bridges = []
    for j, variable in enumerate(matrix.inputs):
        on_edges = np.where(edges[:, j], np.maximum(matrix.net[:, j], 0.0), 0.0)
        leaves = np.array([home[target] != home[variable] for target in matrix.targets])
        if on_edges[leaves].any():
            reached = {home[t] for t, out in zip(matrix.targets, leaves & edges[:, j], strict=True) if out}
            share = float(on_edges[leaves].sum() / on_edges.sum())
            bridges.append(Bridge(variable, share, tuple(sorted(reached))))
    return tuple(sorted(bridges, key=lambda bridge: -bridge.outside))


def _by_kind(variables: tuple[Variable, ...]) -> dict[str, list[int | str]]:
    kinds: dict[str, list[int | str]] = {}
    for variable in variables:
        kinds.setdefault(variable.kind, []).append(variable.id)
    return kinds
