"""The partitions that ship, to be chosen by name."""

from __future__ import annotations

import json

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


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ("rte_case14_realistic", "distance"),
        ("rte_case14_realistic", "random"),
        ("rte_case5_example", "distance"),
    ],
)
def test_partitions_to_compare_with_have_two_clusters_and_say_how_they_were_made(environment, name):
    partition = choose_partition(environment, name)
    assert partition is not None
    assert [cluster.name for cluster in partition.clusters] == ["cluster_0", "cluster_1"]
    made = json.loads(partition.text)
    assert (made["environment"], made["method"]["name"]) == (f"grid2op:{environment}", name)
    assert f"--method {name} --clusters 2" in made["provenance"]["command"]


def test_single_is_one_agent_for_the_whole_grid():
    assert simulator.agent_names("grid2op:rte_case14_realistic", partition="single") == ("grid",)
    assert simulator.agent_names("grid2op:rte_case5_example") == ("grid",)


def test_a_shipped_partition_is_refused_for_another_grid():
    with pytest.raises(PartitionError, match=r"does not ship for .*expected one of \['distance', 'single'\]"):
        simulator.agent_names("grid2op:rte_case5_example", partition="measured")
