"""The sparse solver agrees with dense algebra for any pattern."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.microgrid.kernel import factorize, solve
from simulator.microgrid.sparse import n_values, order_nodes, position


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 12))
    nodes = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(nodes, nodes), max_size=25)), draw(st.integers(0, 2**32 - 1))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@given(graphs())
@settings(deadline=None, max_examples=40)
def test_solutions_are_those_of_the_dense_matrix(dtype, graph):
    n, edges, seed = graph
    rng = np.random.default_rng(seed)
    order, elimination = order_nodes(n, edges)
    place = np.argsort(order)
    dense = np.zeros((n, n), dtype)
    values = np.zeros(n_values(elimination), dtype)
    entries = {(a, b) for a, b in edges} | {(b, a) for a, b in edges} | {(k, k) for k in range(n)}
    for a, b in entries:
        x = rng.normal() + (1j * rng.normal() if dtype is np.complex128 else 0.0) + (15.0 if a == b else 0.0)
        dense[a, b] = x
        values[position(elimination, place[a], place[b])] = x
    right = rng.normal(size=n).astype(dtype)
    x = right[order]
    factorize(values, elimination)
    solve(values, elimination, x)
    np.testing.assert_allclose(x[place], np.linalg.solve(dense, right), rtol=1e-9, atol=1e-12)


def test_a_ring_of_any_size_fills_in_less_than_one_entry_per_node():
    for n in (10, 100, 400):
        _, elimination = order_nodes(n, [(k, (k + 1) % n) for k in range(n)])
        assert len(elimination.row) < 2 * n  # n entries of the matrix, and the rest fill-in
