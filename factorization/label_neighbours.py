"""Count neighbours on a line, once among points of the same label and once among all.

On a line the k nearest of a sorted group are a window of k + 1 of it: sliding it from point to point
makes every step amortized constant, and binary search counts the points within.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factorization.jit import compiled
from factorization.neighbours import first_beyond, first_within

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]


@compiled
def _count(values: Float, center: float, r: float, strict: bool) -> int:
    n = values.size
    return first_beyond(values, 0, n, center, r, strict) - first_within(values, 0, n, center, r, strict)


@compiled
def label_counts(codes: Int64, y: Float, k: int) -> tuple[Int64, Int64, Int64]:
    """Return for each point k_i, N_i and m_i of Ross 2014, in any order of the points.

    Args:
        codes: (N,) labels 0 .. n-1; each that occurs, occurs at least twice.
        y: (N,) finite.
        k: >= 1.
    """
    n = y.size
    everyone = np.sort(y)
    order = np.argsort(y, kind="mergesort")
    order = order[np.argsort(codes[order], kind="mergesort")]
    near, same_label, around = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    begin = 0
    while begin < n:
        end = begin
        while end < n and codes[order[end]] == codes[order[begin]]:
            end += 1
        group = y[order[begin:end]]
        size = min(k, group.size - 1)
        first = 0
        for i in range(group.size):
            while first + size < i or (
                first + size + 1 < group.size and group[first + size + 1] - group[i] < group[i] - group[first]
            ):
                first += 1
            r = max(group[i] - group[first], group[first + size] - group[i])
            near[begin + i] = size if r > 0 else _count(group, group[i], 0.0, False)
            around[begin + i] = _count(everyone, group[i], r, r > 0)
            same_label[begin + i] = group.size
        begin = end
    return near, same_label, around
