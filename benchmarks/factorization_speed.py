"""Speed and memory of the mixed estimator against the k-d-tree way, and how both grow with N.

The k-d-tree way is a plain scipy implementation of the same definition: one tree of the pairs for the
k-th distance, one tree per variable for the counts within it. Times are CPU seconds of one core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from factorization.mutual_information import discrete_continuous, mixed_ksg


def with_trees(x, y, k):
    """Return the "losapio2024" estimate, as published: nothing but tree queries."""
    n = len(x)
    pairs = np.column_stack([x, y])
    eps = cKDTree(pairs).query(pairs, [k + 1], p=np.inf)[0][:, 0]
    counts = [
        cKDTree(v[:, None]).query_ball_point(v[:, None], eps, p=np.inf, return_length=True) for v in (x, y)
    ]
    return float(np.mean(digamma(k) + np.log(n) - digamma(counts[0]) - digamma(counts[1])))


def one_by_one(x, y, k):
    """Return the same as the published code does it: a query per point and variable."""
    n = len(x)
    pairs = np.column_stack([x, y])
    eps = cKDTree(pairs).query(pairs, [k + 1], p=np.inf)[0][:, 0]
    trees = [cKDTree(v[:, None]) for v in (x, y)]
    total = 0.0
    for i in range(n):
        n_x, n_y = (
            len(tree.query_ball_point([v[i]], eps[i], p=np.inf))
            for tree, v in zip(trees, (x, y), strict=True)
        )
        total += digamma(k) + np.log(n) - digamma(n_x) - digamma(n_y)
    return total / n


def seconds(function, *arguments, repeats=1):
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        value = function(*arguments)
        times.append(time.process_time() - begin)
    return value, min(times)


def pair(n, rho=0.8):
    rng = np.random.default_rng(n)
    x, z = rng.normal(size=(2, n))
    return x, rho * x + np.sqrt(1 - rho**2) * z


def compare(sizes, published):
    print("| N | k | here (s) | trees, vectorized (s) | ratio | trees, per point (s) | ratio | difference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for n in sizes:
        x, y = pair(n)
        k = n // 20
        value, ours = seconds(mixed_ksg, x, y, k, "losapio2024", repeats=3)
        expected, trees = seconds(with_trees, x, y, k)
        row = f"| {n:,} | {k:,} | {ours:.3f} | {trees:.2f} | {trees / ours:.0f} | "
        if published:
            _, slow = seconds(one_by_one, x, y, k)
            row += f"{slow:.2f} | {slow / ours:.0f} | "
        else:
            row += "| | "
        print(row + f"{abs(value - expected):.0e} |", flush=True)


def _high_water():
    """Return the peak memory of this process so far, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _growth(n):
    """Return by how much one estimate raises the peak memory of a fresh process, bytes."""
    mixed_ksg(*pair(1000), 50)
    x, y = pair(n)
    before = _high_water()
    mixed_ksg(x, y, n // 20)
    return _high_water() - before


def peak_memory(n):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (n,))


def grow(sizes):
    print("\n| N | k | seconds | µs per point | µs / (log2 N)^2 | peak (MB) | bytes per point |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for n in sizes:
        x, y = pair(n)
        _, took = seconds(mixed_ksg, x, y, n // 20, repeats=3 if n <= 100_000 else 1)
        peak = peak_memory(n)
        each = took / n * 1e6
        row = f"| {n:,} | {n // 20:,} | {took:.3f} | {each:.2f} | {each / np.log2(n) ** 2:.4f} | "
        row += f"{peak / 1e6:.0f} | {peak / n:.0f} |"
        print(row, flush=True)


def kinds(n, k):
    rng = np.random.default_rng(0)
    x, y = pair(n)
    cases = {
        "normal, correlation 0.8": (x, y),
        "uniform, independent": tuple(rng.random((2, n))),
        "half of the values 0": (x * (rng.random(n) < 0.5), y),
        "30 labels as numbers": (rng.integers(0, 30, n) / 30, y),
        "Cauchy": tuple(rng.standard_cauchy((2, n))),
    }
    print(f"\n| one pair, one core, N = {n:,}, k = {k:,} | seconds |\n| --- | --- |")
    for name, (a, b) in cases.items():
        print(f"| mixed_ksg: {name} | {seconds(mixed_ksg, a, b, k, repeats=3)[1]:.3f} |", flush=True)
    labels = rng.integers(0, 30, n)
    took = seconds(discrete_continuous, labels, y, k, repeats=3)[1]
    print(f"| discrete_continuous: 30 labels | {took:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", type=int, nargs="*", default=[5_000, 10_000, 20_000])
    parser.add_argument("--per-point", action="store_true", help="also the published way, a query per point")
    parser.add_argument("--grow", type=int, nargs="*", default=[10_000, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--n", type=int, default=50_000)
    options = parser.parse_args()
    mixed_ksg(*pair(1000), 50)  # compiles
    discrete_continuous([0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0], 1)
    kinds(options.n, options.n // 20)
    print()
    compare(options.compare, options.per_point)
    grow(options.grow)
