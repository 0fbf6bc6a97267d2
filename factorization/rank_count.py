"""Count points in a rectangle of ranks, in O(log N) time and 2 N log2 N bits of memory.

A wavelet matrix (Claude, Navarro, Ordóñez: The wavelet matrix, Information Systems 47, 2015) holds
the y rank of every point in the order of x ranks. Level by level, from the highest bit of the rank
to the lowest, the points with a 0 go stably before those with a 1; a table of ones per block of 64
tells where any position goes. Each block takes two words: how many ones came before it, and its bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factorization.jit import compiled, popcount

Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]


@compiled
def build(values: Int64) -> tuple[UInt64, Int64]:
    """Return the wavelet matrix of `values`, a permutation of 0..N-1.

    Returns:
        blocks: (levels, 2 * n_blocks); entry 2b is the number of ones before block b, 2b+1 its bits.
        zeros: (levels,) number of zeros of each level.
    """
    n = values.size
    levels = 1
    while (1 << levels) < n:
        levels += 1
    n_blocks = (n >> 6) + 1
    blocks = np.zeros((levels, 2 * n_blocks), np.uint64)
    zeros = np.zeros(levels, np.int64)
    current, ones = values.copy(), np.empty(n, np.int64)
    for level in range(levels):
        shift = levels - 1 - level
        n_zero, n_one = 0, 0
        for position in range(n):
            value = current[position]
            if position & 63 == 0:
                blocks[level, 2 * (position >> 6)] = np.uint64(n_one)
            if (value >> shift) & 1:
                blocks[level, 2 * (position >> 6) + 1] |= np.uint64(1) << np.uint64(position & 63)
                ones[n_one] = value
                n_one += 1
            else:
                current[n_zero] = value
                n_zero += 1
        if n & 63 == 0:
            blocks[level, 2 * (n >> 6)] = np.uint64(n_one)
        zeros[level] = n_zero
        current[n_zero:] = ones[:n_one]
    return blocks, zeros


@compiled
def _ones_before(row: UInt64, position: int) -> int:
    block = 2 * (position >> 6)
    below = (np.uint64(1) << np.uint64(position & 63)) - np.uint64(1)
    return int(row[block]) + int(popcount(row[block + 1] & below))


@compiled
def _count_less(blocks: UInt64, zeros: Int64, first: int, last: int, bound: int) -> int:
    """Return how many of the positions first..last-1 hold a value < bound."""
    levels = zeros.size
    if bound >> levels:
        return last - first
    count = 0
    for level in range(levels):
        row = blocks[level]
        ones_first, ones_last = _ones_before(row, first), _ones_before(row, last)
        if (bound >> (levels - 1 - level)) & 1:
            count += (last - ones_last) - (first - ones_first)
            first, last = zeros[level] + ones_first, zeros[level] + ones_last
        else:
            first, last = first - ones_first, last - ones_last
    return count


@compiled
def count(blocks: UInt64, zeros: Int64, first: int, last: int, low: int, high: int) -> int:
    """Return how many of the positions first..last-1 hold a value in low..high-1."""
    return _count_less(blocks, zeros, first, last, high) - _count_less(blocks, zeros, first, last, low)
