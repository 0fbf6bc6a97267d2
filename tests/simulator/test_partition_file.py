"""Partitions are read from JSON files that people write, too."""

from __future__ import annotations

import json

import pytest

from broker.errors import TopicError
from broker.topics import check_node
from simulator.errors import PartitionError
from simulator.partition import FORMAT, parse_partition


def named(name: str) -> str:
    clusters = [{"name": name, "variables": {"substation": [0, 1]}}]
    return json.dumps({"format": FORMAT, "environment": "grid2op:x", "clusters": clusters})


@pytest.mark.parametrize("name", ["west", "west-1.2_b", "n" * 100])
def test_a_cluster_is_called_what_an_agent_can_be_called(name):
    assert parse_partition(named(name)).clusters[0].name == check_node(name)


@pytest.mark.parametrize("name", ["a b", "a b/c", "a/b", "", "süd", "west\n", "n" * 101])
def test_a_cluster_that_no_agent_can_be_called_after_is_refused(name):
    with pytest.raises(TopicError):
        check_node(name)
    with pytest.raises(PartitionError, match=r"p\.json: clusters\[0\] is called .* cannot be the name"):
        parse_partition(named(name), "p.json")
