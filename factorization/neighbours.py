"""The exact distance to the k-th neighbour in the maximum norm, for every point of a plane.

The number of points within r of a point is a count in a rectangle of ranks (rank_count.py). The
k-th distance is the smallest r with at least k + 1 points within it (the point itself is one). It is
kept in a shrinking bracket `floor < distance < roof`, together with the ranks that lie between:
four runs of candidates, left, right, below and above. Guesses by interpolation shrink it fast; where
they do not, the middle of the longest run does, so that O(log N) counts suffice in any case.

Points are visited along a snake through the plane. Between two points at distance D the k-th distance
differs by at most D, which gives a narrow bracket to begin with. Differences are those of float64
throughout, and so results equal those of the plain definition to the last bit, ties included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factorization.jit import compiled
from factorization.rank_count import build, count

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Plane = tuple[Float, Float, float, float]  # all x and all y, each sorted; x and y of one point
Others = tuple[Float, Float, NDArray[np.uint64], Int64]  # y in order of x, x in order of y, wavelet matrix

_FEW = 40  # candidates that are cheaper to look at one by one than to count once more
_GUESSES = 6  # by interpolation, before bisection takes over
_ROUNDING = 2.0**-50


@compiled
def first_within(values: Float, low: int, high: int, center: float, r: float, strict: bool) -> int:
    """Return the first index in low..high at which center - value <= r (or < r); values ascend."""
    while low < high:
        middle = (low + high) >> 1
        distance = center - values[middle]
        inside = distance < r if strict else distance <= r
        if inside:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def first_beyond(values: Float, low: int, high: int, center: float, r: float, strict: bool) -> int:
    """Return the first index in low..high at which value - center > r (or >= r); values ascend."""
    while low < high:
        middle = (low + high) >> 1
        distance = values[middle] - center
        inside = distance < r if strict else distance <= r
        if inside:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _select(values: Float, size: int, wanted: int) -> float:
    """Return the wanted-th smallest (from 0) of the first `size` values; reorders them."""
    for i in range(1, size):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return float(values[wanted])


@compiled
def _collect(
    out: Float, along: Float, across: Float, begin: int, end: int, at: float, at_across: float,
    limit: float, strict: bool, size: int,
) -> int:  # fmt: skip
    """Append the distances of the points begin..end-1 whose other coordinate is within `limit`."""
    for i in range(begin, end):
        other = abs(across[i] - at_across)
        inside = other < limit if strict else other <= limit
        if inside:
            out[size] = max(abs(along[i] - at), other)
            size += 1
    return size


@compiled
def snake(order_x: Int64, rank_y: Int64) -> Int64:
    """Return the points in an order in which successors lie close: strips of x, up and down in y."""
    n = order_x.size
    width = max(1, int(np.sqrt(n)))
    path = np.empty(n, np.int64)
    for strip, begin in enumerate(range(0, n, width)):
        members = order_x[begin : begin + width]
        members = members[np.argsort(rank_y[members])]
        path[begin : begin + width] = members[::-1] if strip & 1 else members
    return path


@compiled
def _ranks(plane: Plane, r: float, strict: bool, inner: Int64, outer: Int64, out: Int64) -> None:
    """Fill `out` with the ranks within r of the point, known to lie between `inner` and `outer`."""
    xs, ys, x, y = plane
    out[0] = first_within(xs, outer[0], inner[0], x, r, strict)
    out[1] = first_beyond(xs, inner[1], outer[1], x, r, strict)
    out[2] = first_within(ys, outer[2], inner[2], y, r, strict)
    out[3] = first_beyond(ys, inner[3], outer[3], y, r, strict)


@compiled
def _middle_of_longest_run(plane: Plane, inner: Int64, outer: Int64) -> float:
    xs, ys, x, y = plane
    left, right = inner[0] - outer[0], outer[1] - inner[1]
    below, above = inner[2] - outer[2], outer[3] - inner[3]
    longest = max(left, right, below, above)
    if left == longest:
        return float(x - xs[outer[0] + left // 2])
    if right == longest:
        return float(xs[inner[1] + right // 2] - x)
    if below == longest:
        return float(y - ys[outer[2] + below // 2])
    return float(ys[inner[3] + above // 2] - y)


@compiled
def _guess(floor: float, roof: float, n_inner: int, n_outer: int, target: int, start: float) -> float:
    """Return where the distance is expected, or -1: counts grow with the square of r if only one is known."""
    wanted = target - 0.5
    if n_inner < 0 and n_outer < 0:
        return start
    if n_inner < 0:
        return roof * (1.0 + 0.5 * (wanted - n_outer) / n_outer)
    if n_outer < 0 or roof == np.inf:
        return floor * (1.0 + 0.5 * (wanted - n_inner) / n_inner) if n_inner > 0 else start
    return floor + (roof - floor) * (wanted - n_inner) / (n_outer - n_inner)


@compiled
def _pick(plane: Plane, others: Others, floor: float, roof: float, wanted: int, n_inner: int,
          n_outer: int, inner: Int64, outer: Int64, few: Float) -> float:  # fmt: skip
    """Return the k-th distance from the few candidates that are left."""
    xs, ys, x, y = plane
    y_by_x, x_by_y, blocks, zeros = others
    size = _collect(few, xs, y_by_x, outer[0], inner[0], x, y, roof, True, 0)
    size = _collect(few, xs, y_by_x, inner[1], outer[1], x, y, roof, True, size)
    size = _collect(few, ys, x_by_y, outer[2], inner[2], y, x, floor, False, size)
    size = _collect(few, ys, x_by_y, inner[3], outer[3], y, x, floor, False, size)
    if n_inner < 0:
        n_inner = (
            n_outer - size if n_outer >= 0 else count(blocks, zeros, inner[0], inner[1], inner[2], inner[3])
        )
    return _select(few, size, wanted - n_inner - 1)


@compiled
def _kth_distance(plane: Plane, others: Others, target: int, floor: float, roof: float, start: float,
                  inner: Int64, outer: Int64, trial: Int64, few: Float) -> float:  # fmt: skip
    """Return the smallest r with at least `target` points within it, given floor < r < roof.

    Args:
        plane: xs, ys (N,) sorted; x, y: the point.
        others: y in the order of x, x in the order of y, and the wavelet matrix.
        target: k + 1.
        floor: fewer than `target` points lie within it.
        roof: at least `target` points lie strictly within it.
        start: first guess.
        inner: (4,) ranks within `floor`; shrinks, as `outer`.
        outer: (4,) ranks strictly within `roof`.
        trial: (4,) scratch.
        few: scratch.
    """
    blocks, zeros = others[2], others[3]
    n_inner = 0 if floor < 0 else -1
    n_outer = -1
    attempts = 0
    while inner[0] - outer[0] + outer[1] - inner[1] + inner[2] - outer[2] + outer[3] - inner[3] > _FEW:
        r = _guess(floor, roof, n_inner, n_outer, target, start) if attempts < _GUESSES else -1.0
        attempts += 1
        if not floor < r < roof or r < 0:
            r = _middle_of_longest_run(plane, inner, outer)
        _ranks(plane, r, False, inner, outer, trial)
        within = count(blocks, zeros, trial[0], trial[1], trial[2], trial[3])
        if within < target:
            floor, n_inner = r, within
            inner[:] = trial
            continue
        at_edge = trial.copy()
        _ranks(plane, r, True, inner, at_edge, trial)
        if (trial != at_edge).any():
            within = count(blocks, zeros, trial[0], trial[1], trial[2], trial[3])
            if within < target:
                return r
        roof, n_outer = r, within
        outer[:] = trial
    return _pick(plane, others, floor, roof, target, n_inner, n_outer, inner, outer, few)


@compiled
def neighbour_counts(x: Float, y: Float, k: int, strict: bool) -> tuple[Int64, Int64, Int64, Float]:
    """Return for each point k~, n_x and n_y of the mixed estimator, and its k-th distance.

    Args:
        x: (N,) finite.
        y: (N,) finite.
        k: 1 .. N-1.
        strict: whether n_x and n_y count only points strictly inside the k-th distance.
    """
    n = x.size
    order_x, order_y = np.argsort(x, kind="mergesort"), np.argsort(y, kind="mergesort")
    rank_x, rank_y = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        rank_x[order_x[i]] = i
        rank_y[order_y[i]] = i
    xs, ys = x[order_x], y[order_y]
    blocks, zeros = build(rank_y[order_x])
    others = (y[order_x], x[order_y], blocks, zeros)
    joint, n_x, n_y = np.full(n, k, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    distance = np.empty(n)
    inner, outer, trial, few = (
        np.empty(4, np.int64),
        np.empty(4, np.int64),
        np.empty(4, np.int64),
        np.empty(_FEW),
    )
    whole = np.array([0, n, 0, n])
    last_x, last_y, last_distance = x[0], y[0], np.inf
    for i in snake(order_x, rank_y):
        plane = (xs, ys, x[i], y[i])
        inner[0], inner[1], inner[2], inner[3] = rank_x[i], rank_x[i], rank_y[i], rank_y[i]
        _ranks(plane, 0.0, False, inner, whole, trial)
        if min(trial[1] - trial[0], trial[3] - trial[2]) > k:
            same = count(blocks, zeros, trial[0], trial[1], trial[2], trial[3])
            if same > k:
                joint[i], n_x[i], n_y[i], distance[i] = same, trial[1] - trial[0], trial[3] - trial[2], 0.0
                last_x, last_y, last_distance = x[i], y[i], 0.0
                continue
        step = max(abs(x[i] - last_x), abs(y[i] - last_y))
        slack = _ROUNDING * (last_distance + step)
        floor, roof = -1.0, np.inf
        outer[:] = whole
        if last_distance < np.inf:
            floor, roof = last_distance - step - slack, last_distance + step + slack + 1e-300
            _ranks(plane, roof, True, inner, whole, outer)
            if floor >= 0:
                _ranks(plane, floor, False, inner, outer, trial)
                inner[:] = trial
        r = _kth_distance(plane, others, k + 1, floor, roof, last_distance, inner, outer, trial, few)
        _ranks(plane, r, strict, inner, outer, trial)
        n_x[i], n_y[i], distance[i] = trial[1] - trial[0], trial[3] - trial[2], r
        last_x, last_y, last_distance = x[i], y[i], r
    return joint, n_x, n_y, distance
