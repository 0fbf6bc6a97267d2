"""What a partition must recover, at sizes that a test can afford; benchmarks/ has the full claims."""

from __future__ import annotations

import numpy as np
import pytest

from factorization.errors import SettingError
from factorization.matrix import InformationMatrix, MatrixSettings, compute_matrix
from factorization.pipeline import GroupingSettings, find_edges, find_groups, make_partition
from factorization.samples import Samples, Variable
from factorization.significance import p_values, quantile_edges, significant_edges
from factorization.stability import adjusted_rand, resample
from simulator.synthetic import cases, sampling


def sampled(system, n, seed):
    before, after = sampling.collect(system, n, seed)
    states = tuple(Variable("state", i) for i in range(system.n_state))
    actions = tuple(Variable("action", i) for i in range(system.n_action))
    return Samples("synthetic", states + actions, states, before, after)


def truth(system):
    blocks = {Variable("state", i): int(b) for i, b in enumerate(system.state_block)}
    return blocks | {Variable("action", i): int(b) for i, b in enumerate(system.action_block)}


@pytest.fixture(scope="module")
def published():
    samples = sampled(cases.published(), 4000, seed=0)
    return samples, compute_matrix(samples, MatrixSettings(n_shuffles=3))


def test_the_published_example_has_the_published_values(published):
    net = published[1].net
    first, second = [0, 2, 4], [1, 3]
    assert net[np.ix_(first, first)].mean() == pytest.approx(0.315, abs=0.025)
    assert net[np.ix_(first, [5, 6])].mean() == pytest.approx(0.135, abs=0.015)
    assert net[np.ix_(second, second)].mean() == pytest.approx(0.755, abs=0.05)
    assert net[second, 7].mean() == pytest.approx(0.37, abs=0.03)
    assert np.abs(net[np.ix_(first, [1, 3, 7])]).max() < 0.01


@pytest.mark.parametrize("quantile", [0.70, 0.74, 0.75, 0.80, 0.90, 0.94])
def test_both_blocks_are_recovered_by_the_published_rule(published, quantile):
    settings = GroupingSettings("quantile", quantile=quantile, method="components")
    assert adjusted_rand(truth(cases.published()), find_groups(published[1], settings)) == 1.0


@pytest.mark.parametrize("method", ["components", "bicluster", "community"])
def test_both_blocks_are_recovered_without_any_parameter(published, method):
    groups = find_groups(published[1], GroupingSettings(method=method))
    assert adjusted_rand(truth(cases.published()), groups) == 1.0


def test_the_blocks_come_back_from_other_samples(published):
    stability = resample(*published, GroupingSettings(method="community"), resamples=3)
    assert stability.scores == (1.0, 1.0, 1.0)
    assert stability.summary()["adjusted_rand_95_percent"] == [1.0, 1.0]
    first, second = frozenset({Variable("state", 0)}), frozenset({Variable("state", 1)})
    assert stability.share_apart(first, second) == 1.0
    assert stability.share_apart(first, frozenset({Variable("state", 2)})) == 0.0
    with pytest.raises(SettingError, match="0 resamples by 'half', expected at least 1"):
        resample(*published, GroupingSettings(), resamples=0)


def test_random_processes_with_noise_are_recovered():
    for seed in range(2):
        system = cases.random(seed, [(2, 1), (3, 2), (2, 2)], noise=0.1)
        matrix = compute_matrix(sampled(system, 1500, seed), MatrixSettings(n_shuffles=3))
        assert adjusted_rand(truth(system), find_groups(matrix, GroupingSettings(method="community"))) == 1.0


def test_independent_variables_have_no_more_edges_than_the_false_discovery_rate():
    rng = np.random.default_rng(0)
    names = [tuple(Variable(kind, i) for i in range(6)) for kind in ("in", "out")]
    runs_with_edges = 0
    for _ in range(30):
        samples = Samples("nothing", *names, rng.normal(size=(6, 200)), rng.random((6, 200)))
        matrix = compute_matrix(samples, MatrixSettings(k=10, n_shuffles=4))
        runs_with_edges += bool(significant_edges(matrix, 0.05).any())
    assert runs_with_edges <= 5  # 1.5 expected; more than 5 of 30 has a probability of 0.3 %


def test_p_values_of_independent_pairs_are_uniform():
    rng = np.random.default_rng(1)
    names = [tuple(Variable(kind, i) for i in range(20)) for kind in ("in", "out")]
    samples = Samples("nothing", *names, rng.normal(size=(20, 200)), rng.random((20, 200)))
    p = p_values(compute_matrix(samples, MatrixSettings(k=10, n_shuffles=4)))
    for level in (0.01, 0.05, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 400) + 0.01)


def flat_matrix(n_shuffles):
    variables = tuple(Variable("v", i) for i in range(3))
    shuffled = np.random.default_rng(0).normal(scale=1e-3, size=(n_shuffles, 3, 3))
    return InformationMatrix("test", variables, variables, np.eye(3), shuffled, 100, MatrixSettings(), "")


def test_thresholds_outside_of_their_range_are_refused():
    with pytest.raises(SettingError, match=r"quantile is 1.0, expected a number in \[0, 1\)"):
        quantile_edges(flat_matrix(1), 1.0)
    with pytest.raises(SettingError, match="fdr is 0"):
        significant_edges(flat_matrix(10), 0)
    with pytest.raises(SettingError, match=r"9 pairs with 1 shuffles each.*raise n_shuffles"):
        significant_edges(flat_matrix(1))
    with pytest.raises(SettingError, match="threshold is 'best'"):
        GroupingSettings("best")
    assert np.array_equal(find_edges(flat_matrix(10), GroupingSettings()), np.eye(3, dtype=bool))


def test_variables_outside_of_the_matrix_join_the_one_they_belong_to(published):
    extra = {Variable("load", 0): Variable("state", 1)}
    partition = make_partition(published[1], GroupingSettings(), extra, provenance={"seed": 0})
    assert partition.labels([Variable("load", 0)]) == partition.labels([Variable("state", 1)])
    assert partition.provenance["matrix_sha256"] == published[1].sha256
