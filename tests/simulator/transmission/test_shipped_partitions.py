"""The partitions that ship for the 14-substation grid."""

from __future__ import annotations

import pytest

import simulator
from simulator.errors import PartitionError
from simulator.transmission.clusters import choose_partition


def substations(name: str) -> set[frozenset[int | str]]:
    partition = choose_partition("rte_case14_realistic", name)
    assert partition is not None
    return {frozenset(cluster.variables["substation"]) for cluster in partition.clusters}


def test_the_measured_partition_is_the_published_one():
    assert substations("measured") == substations("published")
    assert frozenset({0, 1, 2, 4}) in substations("measured")


def test_agents_are_named_after_the_clusters_of_the_chosen_partition():
    grid = "grid2op:rte_case14_realistic"
    assert simulator.agent_names(grid, partition="measured") == ("cluster_0", "cluster_1")
    assert simulator.agent_names(grid, partition="published") == ("south", "north")


def test_a_shipped_partition_is_refused_for_another_grid():
    with pytest.raises(PartitionError, match="ships for 14-substation grids only"):
        simulator.agent_names("grid2op:rte_case5_example", partition="measured")
