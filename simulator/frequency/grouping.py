"""Which units an agent runs: one each, or those of its cluster in a partition of kind "agent"."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.errors import PartitionError
from simulator.partition import Partition, read_partition

Groups = Mapping[str, tuple[str, ...]]  # agent -> its units


def groups(unit_names: tuple[str, ...], partition: str) -> tuple[Groups, str]:
    """Return the units of every agent, and the text of the partition ("" without one).

    Args:
        unit_names: all units, in order.
        partition: path of a partition file, or "".

    Raises:
        PartitionError: the file cannot be read, or does not put every unit in exactly one cluster.
    """
    if not partition:
        return {name: (name,) for name in unit_names}, ""
    read = read_partition(partition)
    clusters = {c.name: tuple(str(m) for m in c.variables.get("agent", ())) for c in read.clusters}
    _check(clusters, unit_names, partition, read)
    return clusters, read.text


def merged_neighbours(agents: Groups, of_unit: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return agent -> agents that run a neighbour of one of its units."""
    runs = {unit: agent for agent, units in agents.items() for unit in units}
    return {
        agent: tuple(a for a in agents if a != agent and a in {runs[n] for u in units for n in of_unit[u]})
        for agent, units in agents.items()
    }


def _check(clusters: Groups, unit_names: tuple[str, ...], partition: str, read: Partition) -> None:
    named = [unit for members in clusters.values() for unit in members]
    unknown, missing = sorted(set(named) - set(unit_names)), [u for u in unit_names if u not in named]
    empty = [name for name, members in clusters.items() if not members]
    if unknown or missing or empty:
        msg = (
            f"{partition} (for '{read.environment}'): units {unknown} are unknown, {missing} in no cluster, "
            f"clusters {empty} have none; expected each of {list(unit_names)} in one cluster, under 'agent'"
        )
        raise PartitionError(msg)
