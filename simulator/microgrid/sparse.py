"""Order a sparse matrix with a symmetric pattern for L U, once; the kernel fills in the numbers, often.

A microgrid is sparse (a tree, a ring), so a factorization that keeps to the nonzeros costs time in
proportion to the number of buses. Minimum degree ordering: Tinney & Walker, Proc. IEEE 55(11), 1967.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from simulator.microgrid.types import Elimination, Int


def order_nodes(n: int, edges: Iterable[tuple[int, int]]) -> tuple[Int, Elimination]:
    """Return the node at each place of the elimination, (n,), and the pattern that results.

    Args:
        n: number of rows of the matrix.
        edges: pairs of rows with a nonzero between them.
    """
    around: list[set[int]] = [set() for _ in range(n)]
    for a, b in edges:
        if a != b:
            around[a].add(b)
            around[b].add(a)
    order: list[int] = []
    left = set(range(n))
    while left:
        node = min(left, key=lambda k: (len(around[k]), k))
        left.remove(node)
        for other in around[node]:
            around[other] |= around[node] - {other}
            around[other].discard(node)
        order.append(node)
    place = {node: k for k, node in enumerate(order)}
    return np.array(order, np.int64), _pattern([sorted(place[m] for m in around[node]) for node in order])


def position(elimination: Elimination, i: int, j: int) -> int:
    """Return where the entry in row i and column j is in the value array; i and j are places."""
    if i == j:
        return i
    low, high = min(i, j), max(i, j)
    n, n_nonzero = len(elimination.start) - 1, len(elimination.row)
    start, stop = elimination.start[low], elimination.start[low + 1]
    index = int(start + np.searchsorted(elimination.row[start:stop], high))
    return n + index if i > j else n + n_nonzero + index


def n_values(elimination: Elimination) -> int:
    """Return the length of the value array: D, then L by columns, then U by rows."""
    return len(elimination.start) - 1 + 2 * len(elimination.row)


def _pattern(columns: list[list[int]]) -> Elimination:
    start = np.cumsum([0, *map(len, columns)]).astype(np.int64)
    row = np.array([m for column in columns for m in column], np.int64)
    bare = Elimination(start, row, np.zeros(0, np.int64), np.zeros(0, np.int64))
    targets: list[int] = []
    first: list[int] = []
    for column in columns:
        first.append(len(targets))
        targets.extend(position(bare, i, j) for i in column for j in column)
    return Elimination(start, row, np.array(first, np.int64), np.array(targets, np.int64))
