"""Who sits where: the agents, the DGs of each, and their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.errors import PartitionError
from simulator.microgrid.case_files import reached
from simulator.microgrid.options import GraphOption
from simulator.microgrid.types import System
from simulator.partition import Partition


@dataclass(frozen=True)
class Seats:
    """The agents of a microgrid."""

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]  # DGs (from 0) of each agent, in the order of its actions
    neighbours: tuple[tuple[int, ...], ...]  # agents next to each agent


def dg_names(n_dg: int) -> tuple[str, ...]:
    """Return the names of the DGs, which are those of the agents without a partition."""
    return tuple(f"dg_{k + 1}" for k in range(n_dg))


def seats(system: System, partition: Partition | None, graph: GraphOption) -> Seats:
    """Return the agents: one per DG, or one per cluster of a partition.

    Raises:
        PartitionError: the clusters do not cover the DGs, each once.
    """
    names = dg_names(system.n_dg)
    members: tuple[tuple[int, ...], ...] = tuple((k,) for k in range(system.n_dg))
    if partition is not None:
        names = tuple(cluster.name for cluster in partition.clusters)
        members = cluster_members(partition, system.n_dg)
    owner = {dg: agent for agent, dgs in enumerate(members) for dg in dgs}
    pairs = electrical_links(system) if graph == "electrical" else {(int(a), int(b)) for a, b in system.hears}
    linked = {(owner[a], owner[b]) for a, b in pairs} | {(owner[b], owner[a]) for a, b in pairs}
    neighbours = tuple(
        tuple(sorted(b for a, b in linked if a == agent and b != agent)) for agent in range(len(names))
    )
    return Seats(names, members, neighbours)


def cluster_members(partition: Partition, n_dg: int) -> tuple[tuple[int, ...], ...]:
    """Return the DGs (from 0) of each cluster. Raises PartitionError if they are not all DGs, each once."""
    index = {name: k for k, name in enumerate(dg_names(n_dg))}
    members = [
        tuple(index.get(str(m), -1) for m in cluster.variables.get("agent", ()))
        for cluster in partition.clusters
    ]
    if sorted(dg for dgs in members for dg in dgs) != list(range(n_dg)) or not all(members):
        got = {cluster.name: cluster.variables.get("agent", ()) for cluster in partition.clusters}
        msg = (
            f"partition of a microgrid: variables of kind 'agent' are {got}, "
            f"expected dg_1 .. dg_{n_dg}, each in one cluster, and no cluster empty"
        )
        raise PartitionError(msg)
    return tuple(members)


def electrical_links(system: System) -> set[tuple[int, int]]:
    """Return the pairs (a < b) of DGs between which a path leads over no other DG's bus."""
    dg_at: dict[int, list[int]] = {}
    for dg, bus in enumerate(system.dg_bus.tolist()):
        dg_at.setdefault(bus, []).append(dg)
    ends = [(int(a), int(b)) for a, b in system.line_bus]
    directed = ends + [(b, a) for a, b in ends]
    links = set()
    for bus, dgs in dg_at.items():
        # edges that leave the bus itself or a bus without DGs: paths end at the next DG
        edges = [(a, b) for a, b in directed if a == bus or a not in dg_at]
        for other in reached({bus}, edges):
            links |= {(a, b) for a in dgs for b in dg_at.get(other, ()) if a < b}
            links |= {(b, a) for a in dgs for b in dg_at.get(other, ()) if b < a}
    return links
