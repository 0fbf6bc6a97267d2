"""The 14-substation grid: the time of its matrix, its clusters by every rule, and how stable they are.

Reads the samples that `chorus factorize grid2op:rte_case14_realistic --out OUT.json` left in the folder OUT.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from factorization.matrix import MatrixSettings, compute_matrix
from factorization.pipeline import GroupingSettings, find_edges, find_groups
from factorization.reference import published_case14
from factorization.samples import Samples, Variable
from factorization.stability import Stability, adjusted_rand

SOUTH = frozenset(Variable("substation", i) for i in (1, 2, 4))  # {0, 1, 2, 4} less 0, which has no actions
RULES = {
    "quantile 0.70, components (published)": GroupingSettings("quantile", method="components"),
    "permutation, components": GroupingSettings(method="components"),
    "permutation, bicluster by eigengap": GroupingSettings(method="bicluster"),
    "permutation, bicluster, 2 clusters": GroupingSettings(method="bicluster", n_clusters=2),
    "permutation, bicluster, 3 clusters": GroupingSettings(method="bicluster", n_clusters=3),
    "permutation, community": GroupingSettings(method="community"),
    "quantile 0.70, bicluster by eigengap": GroupingSettings("quantile", method="bicluster"),
    "quantile 0.70, bicluster, 2 clusters": GroupingSettings("quantile", method="bicluster", n_clusters=2),
    "quantile 0.70, community": GroupingSettings("quantile", method="community"),
}


def read(folder: Path, n: int) -> Samples:
    with np.load(folder / "samples.npz") as saved:
        substations = tuple(Variable("substation", int(i)) for i in saved["inputs"])
        after = saved["after"][:, :, :n].astype(np.float64)
        before = saved["before"][:, :n]
    lines = tuple(Variable("line", i) for i in range(after.shape[1]))
    return Samples("grid2op:rte_case14_realistic", substations, lines, before, after, frozenset(substations))


def times(samples: Samples, jobs: int) -> None:
    print("| full matrix, 20 x 7 pairs and as many shuffled | N | seconds |\n| --- | --- | --- |")
    for estimator in ("discrete_continuous", "mixed_ksg"):
        settings = MatrixSettings(label_estimator=estimator, n_shuffles=1, n_jobs=jobs)
        begin = time.perf_counter()
        compute_matrix(samples, settings)
        print(
            f"| {estimator}, {jobs} threads | {samples.n:,} | {time.perf_counter() - begin:.1f} |", flush=True
        )


def clusters(samples: Samples, estimator: str, resamples: int, jobs: int) -> None:
    settings = MatrixSettings(label_estimator=estimator, n_jobs=jobs)
    whole = compute_matrix(samples, settings)
    draws = {}
    for resampling in ("bootstrap", "half"):
        for i in range(resamples):
            rng = np.random.default_rng([0, 1, i])
            drawn = samples.bootstrapped(rng) if resampling == "bootstrap" else samples.half(rng)
            draws.setdefault(resampling, []).append(compute_matrix(drawn, replace(settings, n_shuffles=4)))
    print(f"\n| {estimator}, N = {samples.n:,} | edges | clusters of substations | ARI published "
          "| 1 2 4 apart: bootstrap | half | ARI bootstrap | half |")  # fmt: skip
    print("| --- " * 8 + "|")
    published = published_case14()
    for name, rule in RULES.items():
        groups = find_groups(whole, rule)
        parts = {
            g: [str(v.id) for v in groups if v.kind == "substation" and groups[v] == g]
            for g in groups.values()
        }
        others = frozenset(v for v in groups if v.kind == "substation") - SOUTH
        cells = []
        for matrices in draws.values():
            found = tuple(find_groups(matrix, rule) for matrix in matrices)
            cells.append(Stability("half", tuple(adjusted_rand(groups, g) for g in found), found))
        own = {v: published[v] for v in groups}
        apart = " | ".join(f"{s.share_apart(SOUTH, others):.0%}" for s in cells)
        scores = " | ".join(f"{np.median(s.scores):.2f} ({min(s.scores):.2f})" for s in cells)
        print(f"| {name} | {int(find_edges(whole, rule).sum())} | "
              f"{' / '.join(' '.join(p) for p in parts.values() if p)} | {adjusted_rand(own, groups):.2f} | "
              f"{apart} | {scores} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--resamples", type=int, default=10)
    parser.add_argument("--estimators", nargs="*", default=["discrete_continuous"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--skip-times", action="store_true")
    options = parser.parse_args()
    loaded = read(options.folder, options.samples)
    if not options.skip_times:
        times(loaded, options.jobs)
    for name in options.estimators:
        clusters(loaded, name, options.resamples, options.jobs)
