"""Averages and intervals agree with independent computations."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agents.statistics import (
    Estimate,
    bootstrap,
    crossed_bootstrap,
    improvement_by_scenario,
    interquartile_mean,
    performance_profile,
)

numbers = st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=1, max_size=30)
few = settings(max_examples=60, deadline=None)


@given(numbers)
@few
def test_the_interquartile_mean_is_the_mean_of_the_middle_half(scores):
    # Each score four times: then the quartiles fall between scores, and scipy trims exactly there.
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(np.repeat(scores, 4), 0.25), abs=1e-9)


def test_the_interquartile_mean_leaves_out_what_is_extreme():
    assert interquartile_mean([1e9, 1, 2, -1e9]) == 1.5
    assert interquartile_mean([[0, 0], [1, 1], [9, 9], [2, 2]]) == 1.5
    assert interquartile_mean([7.0]) == 7.0
    # Of three, the outer two count by a quarter each: (1/4 · 0 + 1 · 6 + 1/4 · 9) / 1.5.
    assert interquartile_mean([9.0, 0.0, 6.0]) == pytest.approx(5.5)
    with pytest.raises(ValueError, match="no scores"):
        interquartile_mean([])


@given(numbers, st.randoms(use_true_random=False))
@few
def test_order_does_not_matter(scores, random):
    shuffled = random.sample(scores, len(scores))
    assert interquartile_mean(shuffled) == pytest.approx(interquartile_mean(scores))


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    scores = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = bootstrap(scores, np.mean, draws=4000)
    half = 1.96 * scores.std() / 20
    assert estimate.value == pytest.approx(scores.mean())
    assert estimate.low == pytest.approx(scores.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(scores.mean() + half, abs=0.1 * half)


def test_the_interval_of_the_interquartile_mean_agrees_with_scipys_bootstrap():
    scores = np.random.default_rng(1).exponential(1.0, 200)
    ours = bootstrap(scores, draws=4000)
    theirs = stats.bootstrap(
        (scores,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=4000, method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.1 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.1 * width)


def test_whole_runs_are_drawn_before_their_episodes():
    # All that differs is the run: however many episodes each has, there are three independent scores.
    runs = np.array([0.0, 1.0, 5.0])[:, None].repeat(1000, axis=1)
    estimate = bootstrap(runs, np.mean, draws=4000)
    draws = {np.mean(picked) for picked in np.array(np.meshgrid(*[[0.0, 1.0, 5.0]] * 3)).reshape(3, -1).T}
    assert estimate.low == min(draws) == 0.0  # 1 draw of 27 is all zeros: more than 2.5 %
    assert estimate.high == max(draws) == 5.0
    flat = bootstrap(runs.ravel(), np.mean)
    assert flat.high - flat.low < 0.3  # as if they were independent: the mistake this avoids


def test_the_same_seed_gives_the_same_interval():
    scores = np.arange(20.0)
    assert bootstrap(scores, seed=4) == bootstrap(scores, seed=4)
    assert bootstrap(scores, seed=4) != bootstrap(scores, seed=5)


def test_scores_that_are_all_alike_have_no_spread():
    assert bootstrap(np.full(8, 3.0)) == Estimate(3.0, 3.0, 3.0)
    assert str(Estimate(0.5, 0.25, 0.75)).startswith("0.5 [0.25")


def crossed_scores(n_runs: int, n_scenarios: int, of_run: float, of_scenario: float) -> np.ndarray:
    """Return scores that are the sum of a run's and a scenario's part."""
    rng = np.random.default_rng(3)
    return rng.normal(0, of_run, (n_runs, 1)) + rng.normal(0, of_scenario, (1, n_scenarios))


def test_scenarios_that_all_runs_share_are_not_counted_once_per_run():
    # All that differs is the scenario: 50 runs tell no more than one.
    many = crossed_bootstrap(np.mean, crossed_scores(50, 40, 0.0, 1.0))
    one = bootstrap(crossed_scores(1, 40, 0.0, 1.0)[:1], np.mean)
    half = 1.96 / np.sqrt(40)
    assert many.high - many.low == pytest.approx(2 * half, rel=0.25)
    nested = bootstrap(crossed_scores(50, 40, 0.0, 1.0), np.mean)
    assert nested.high - nested.low < 0.5 * half  # seven times too sure: the mistake this avoids
    assert one.high - one.low == pytest.approx(2 * half, rel=0.25)


def test_a_difference_between_policies_on_the_same_scenarios_is_seen_through_their_spread():
    theirs = crossed_scores(1, 40, 0.0, 5.0)
    ours = theirs + 0.1 + crossed_scores(5, 1, 0.01, 0.0)
    difference = crossed_bootstrap(lambda a, b: float(a.mean() - b.mean()), ours, theirs)
    assert 0.05 < difference.low < difference.value < difference.high < 0.15
    assert crossed_bootstrap(improvement_by_scenario, ours, theirs) == Estimate(1.0, 1.0, 1.0)


@pytest.mark.parametrize(("ours", "theirs"), [((2, 3), (1, 10)), ((2, 3), (2, 1)), ((2, 0), (1, 0))])
def test_tables_of_other_scenarios_are_not_compared(ours, theirs):
    tables = np.zeros(ours), np.zeros(theirs)
    for compare in (improvement_by_scenario, partial(crossed_bootstrap, improvement_by_scenario)):
        with pytest.raises(ValueError, match="expected the same number for all, at least 1"):
            compare(*tables)


def test_improvement_by_scenario_is_the_mean_of_mann_whitneys_u_over_scenarios():
    rng = np.random.default_rng(5)
    ours, theirs = rng.integers(0, 4, (5, 7)), rng.integers(0, 4, (3, 7))
    expected = np.mean([stats.mannwhitneyu(ours[:, m], theirs[:, m]).statistic / 15 for m in range(7)])
    assert improvement_by_scenario(ours, theirs) == pytest.approx(expected)


def test_the_profile_is_the_share_of_scores_above_a_level():
    scores = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 9.0]])
    share, low, high = performance_profile(scores, [0.0, 1.0, 2.0, 8.0, 9.0])
    assert share.tolist() == pytest.approx([1.0, 5 / 6, 3 / 6, 1 / 6, 0.0])
    assert ((low <= share) & (share <= high)).all()
    assert (low[0], high[-1]) == (1.0, 0.0)
