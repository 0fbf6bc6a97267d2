"""The k-th distance and the counts behind the estimators are exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from factorization.neighbours import neighbour_counts
from factorization.rank_count import build, count


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_rectangles_of_ranks_are_counted_exactly(n, seed):
    rng = np.random.default_rng(seed)
    ranks = rng.permutation(n)
    blocks, zeros = build(ranks)
    for _ in range(20):
        first, last = np.sort(rng.integers(0, n + 1, 2))
        low, high = np.sort(rng.integers(0, n + 1, 2))
        expected = np.sum((ranks[first:last] >= low) & (ranks[first:last] < high))
        assert count(blocks, zeros, first, last, low, high) == expected


@given(st.integers(2, 300), st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_kth_distance_is_that_of_sorting_all_distances(n, seed, tied):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    if tied:
        x, y = np.round(x, 1), np.round(y, 1)
    k = int(rng.integers(1, n))
    distances = np.maximum(np.abs(x[:, None] - x), np.abs(y[:, None] - y))
    found = neighbour_counts(x, y, k, True)[3]
    np.testing.assert_array_equal(found, np.sort(distances, axis=1)[:, k])
