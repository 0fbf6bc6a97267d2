"""Read a partition: which variables of a grid belong to which cluster.

The file is JSON (format `gridchorus-partition/1`), written by `chorus factorize` and read here:

    {"format": "gridchorus-partition/1",
     "environment": "grid2op:rte_case14_realistic",
     "method": {"name": "published", ...}, "source": "...", ...,
     "clusters": [{"name": "west", "variables": {"substation": [0, 1, 2, 4], "line": [0, 1, ...]}}, ...]}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import PartitionError

FORMAT = "gridchorus-partition/1"
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}")  # as of all nodes of the bus: a cluster is an agent's


@dataclass(frozen=True)
class Cluster:
    """One cluster: its name and its variables by kind (substation, line, generator, agent, ...)."""

    name: str
    variables: Mapping[str, tuple[int | str, ...]]


@dataclass(frozen=True)
class Partition:
    """A partition as read, and the exact text it was read from."""

    environment: str
    clusters: tuple[Cluster, ...]
    text: str

    @property
    def sha256(self) -> str:
        """Return the hash of the text, which identifies the partition in messages and reports."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_partition(source: str | Path) -> Partition:
    """Read a partition from a file.

    Args:
        source: path of a JSON file.

    Raises:
        PartitionError: the file is missing, not JSON, of another format, puts a variable in two clusters,
            or calls a cluster what no agent can be called.
    """
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"partition {path}: cannot be read ({error.strerror}); give the path of a partition JSON file"
        raise PartitionError(msg) from error
    return parse_partition(text, where=str(path))


def parse_partition(text: str, where: str = "partition") -> Partition:
    """Read a partition from JSON text; `where` names it in errors. Raises PartitionError."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"{where}: not JSON (line {error.lineno}: {error.msg})"
        raise PartitionError(msg) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        got = document.get("format") if isinstance(document, dict) else type(document).__name__
        msg = f"{where}: format is {got!r}, expected '{FORMAT}'; make one with `chorus factorize`"
        raise PartitionError(msg)
    clusters = tuple(
        _cluster(item, index, where) for index, item in enumerate(document.get("clusters") or ())
    )
    _check_disjoint(clusters, where)
    return Partition(str(document.get("environment", "")), clusters, text)


def _cluster(item: object, index: int, where: str) -> Cluster:
    if not isinstance(item, dict) or not isinstance(item.get("variables"), dict):
        msg = f"{where}: clusters[{index}] must be an object with 'name' and 'variables', got {item!r}"
        raise PartitionError(msg)
    variables = {str(kind): tuple(members) for kind, members in item["variables"].items()}
    name = str(item.get("name", f"cluster_{index}"))
    if not _NAME.fullmatch(name):
        msg = (
            f"{where}: clusters[{index}] is called {name!r}, which cannot be the name of an agent; expected "
            "letters, digits, '_', '-', '.', at most 100"
        )
        raise PartitionError(msg)
    return Cluster(name, variables)


def _check_disjoint(clusters: tuple[Cluster, ...], where: str) -> None:
    if not clusters:
        msg = f"{where}: has no clusters; at least one is needed"
        raise PartitionError(msg)
    names = [cluster.name for cluster in clusters]
    if len(set(names)) < len(names):
        msg = f"{where}: cluster names {names} are not unique; each is the name of an agent"
        raise PartitionError(msg)
    owner: dict[tuple[str, int | str], str] = {}
    for cluster in clusters:
        for kind, members in cluster.variables.items():
            for member in members:
                if (kind, member) in owner:
                    first = owner[kind, member]
                    msg = f"{where}: {kind} {member} is in '{first}' and in '{cluster.name}', expected in one"
                    raise PartitionError(msg)
                owner[kind, member] = cluster.name
