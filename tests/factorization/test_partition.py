"""Partitions cover every variable once, survive their JSON form, and are read by the simulator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorization.errors import OutputError, SampleError, SettingError
from factorization.grouping import attach, group
from factorization.matrix import InformationMatrix, MatrixSettings
from factorization.partition import (
    Bridge,
    Cluster,
    Partition,
    clusters_of,
    find_bridges,
    from_json,
    read_partition,
)
from factorization.reference import at_random, by_distance, electrical_distance, nearest, published_case14
from factorization.samples import Variable
from simulator.partition import parse_partition


def matrix_of(values, same_variables=False):
    values = np.asarray(values, float)
    inputs = tuple(Variable("in", j) for j in range(values.shape[1]))
    targets = (
        inputs[: len(values)] if same_variables else tuple(Variable("out", i) for i in range(len(values)))
    )
    nothing = np.zeros((2, *values.shape))
    return InformationMatrix("test", targets, inputs, values, nothing, 100, MatrixSettings(), "")


def blocks(*sizes, value=1.0):
    rows, columns = sum(r for r, _ in sizes), sum(c for _, c in sizes)
    values, row, column = np.zeros((rows, columns)), 0, 0
    for r, c in sizes:
        values[row : row + r, column : column + c] = value
        row, column = row + r, column + c
    return values


@given(st.integers(0, 2**32 - 1), st.sampled_from(["components", "bicluster", "community"]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_method_puts_every_variable_in_exactly_one_cluster(seed, method, same_variables):
    rng = np.random.default_rng(seed)
    values = rng.random((rng.integers(2, 9), rng.integers(9, 12))) * (rng.random() < 0.9)
    matrix = matrix_of(values, same_variables)
    edges = values > rng.uniform(0.3, 0.9)
    groups = attach(matrix, group(matrix, edges, method))
    partition = Partition("test", clusters_of(groups))
    partition.require(matrix.variables)
    assert sum(len(c.variables) for c in partition.clusters) == len(matrix.variables)


@pytest.mark.parametrize("method", ["components", "bicluster", "community"])
def test_every_method_finds_blocks(method):
    values = blocks((3, 2), (4, 3), (2, 2))
    groups = attach(matrix_of(values), group(matrix_of(values), values > 0, method))
    assert [groups[Variable("in", j)] for j in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert [groups[Variable("out", i)] for i in range(9)] == [0] * 3 + [1] * 4 + [2] * 2


@pytest.mark.parametrize("method", ["bicluster", "community"])
def test_a_weak_bridge_joins_components_but_not_clusters(method):
    values = blocks((4, 3), (4, 3))
    values[0, 5] = 0.1
    matrix = matrix_of(values)
    assert set(group(matrix, values > 0, "components").values()) == {0}
    groups = attach(matrix, group(matrix, values > 0, method))
    assert groups[Variable("in", 0)] != groups[Variable("in", 5)]
    (bridge,) = find_bridges(matrix, values > 0, clusters_of(groups))
    assert bridge == Bridge(Variable("in", 5), pytest.approx(0.1 / 4.1), ("cluster_0",))


def test_a_bridge_goes_where_most_of_its_information_goes():
    values = blocks((2, 3), (8, 3))
    values[:2, 2], values[2:, 2] = 0.6, 0.2  # denser towards the first block, more towards the second
    groups = attach(matrix_of(values), group(matrix_of(values), values > 0, "bicluster", 2))
    assert groups[Variable("in", 2)] == groups[Variable("in", 5)] != groups[Variable("in", 0)]


def test_a_state_before_and_after_is_one_node_of_the_graph():
    chain = np.eye(3, k=1)[:2]  # state 0 copies state 1, which copies input 2
    matrix = matrix_of(chain, same_variables=True)
    assert len(set(group(matrix, chain > 0, "components").values())) == 1


def test_a_variable_without_an_edge_joins_where_it_shares_most_or_stays_alone():
    values = np.array([[1.0, 0.0, 0.1, -0.1], [0.0, 1.0, 0.2, -0.1]])
    matrix = matrix_of(values)
    groups = attach(matrix, group(matrix, values > 0.5, "components"))
    assert groups[Variable("in", 2)] == groups[Variable("in", 1)]
    assert list(groups.values()).count(groups[Variable("in", 3)]) == 1


def test_a_method_that_does_not_exist_and_too_many_clusters_are_refused():
    matrix = matrix_of(blocks((2, 2), (2, 2)))
    with pytest.raises(SettingError, match="grouping method is 'kmeans'"):
        group(matrix, matrix.information > 0, "kmeans")
    with pytest.raises(SettingError, match="5 clusters of 4 targets and 4 inputs"):
        group(matrix, matrix.information > 0, "bicluster", 5)


A, B = Variable("line", 0), Variable("substation", 3)


def test_a_partition_survives_its_json_form(tmp_path):
    partition = Partition(
        "grid2op:x", (Cluster("west", (A,)), Cluster("east", (B,))), {"name": "components"}, {"seed": 3},
        (Bridge(B, 0.25, ("west",)),), {"resamples": 2},
    )  # fmt: skip
    assert from_json(partition.to_json()) == partition
    partition.write(tmp_path / "new" / "p.json")
    assert read_partition(tmp_path / "new" / "p.json") == partition


def test_the_simulator_reads_what_is_written():
    read = parse_partition(Partition("grid2op:x", (Cluster("west", (A, B)),)).to_json())
    assert read.environment == "grid2op:x"
    assert read.clusters[0].variables == {"line": (0,), "substation": (3,)}


def test_a_partition_that_is_none_is_refused():
    with pytest.raises(SettingError, match="line 0 is in 'west' and in 'east', expected in one"):
        Partition("x", (Cluster("west", (A,)), Cluster("east", (A, B))))
    with pytest.raises(SettingError, match="expected some, no two alike"):
        Partition("x", (Cluster("west", (A,)), Cluster("west", (B,))))
    with pytest.raises(SettingError, match="cluster 'west' is empty"):
        Partition("x", (Cluster("west", ()),))
    with pytest.raises(SettingError, match=r"lacks \['substation 3'\] and has \[\] too much"):
        Partition("x", (Cluster("west", (A,)),)).require([A, B])


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"format": "gridchorus-partition/1"})])
def test_a_text_that_is_no_partition_is_refused(text):
    with pytest.raises(SampleError, match="not a partition"):
        from_json(text)


def test_a_partition_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        Partition("x", (Cluster("west", (A,)),)).write(tmp_path / "file" / "p.json")


def test_resistance_distance_of_a_ring_is_that_of_parallel_paths():
    ends = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    distance = electrical_distance(4, ends, np.full(4, 0.2))
    assert distance[0, 1] == pytest.approx(0.2 * 3 / 4)
    assert distance[0, 2] == pytest.approx(0.2)
    assert nearest(distance, 0, np.array([2, 3])) == 3


def test_partitions_to_compare_with_are_as_even_or_as_near_as_they_should_be():
    assert sorted(np.bincount(at_random(7, 3, seed=1))) == [2, 2, 3]
    assert not np.array_equal(at_random(7, 3, seed=1), at_random(7, 3, seed=2))
    line = np.abs(np.subtract.outer([0, 1, 2, 10, 11], [0, 1, 2, 10, 11])).astype(float)
    labels = by_distance(line, 2)
    assert len(set(labels[:3])) == len(set(labels[3:])) == 1
    assert labels[0] != labels[3]
    assert len(published_case14()) == 34
    with pytest.raises(SettingError, match="expected 1 to 5 clusters"):
        by_distance(line, 6)
