"""Mutual information of two samples, in nats, by nearest neighbours.

Three readings of the same idea: around every point, look as far as its k-th neighbour, and compare
how many points lie as near in x alone and in y alone. All run in O(N log^2 N) for any k.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from factorization.errors import SampleError, SettingError
from factorization.label_neighbours import label_counts
from factorization.neighbours import neighbour_counts

Variant = Literal["gao2017", "losapio2024"]
Float = NDArray[np.float64]


def default_k(n_samples: int) -> int:
    """Return N/20, at least 1: the number of neighbours of the published factorization."""
    return max(1, n_samples // 20)


def mixed_ksg(x: ArrayLike, y: ArrayLike, k: int, variant: Variant = "gao2017") -> float:
    """Estimate I(x; y) of two samples that may be continuous, discrete, or a mixture of both.

    With ε_i the distance of point i to its k-th neighbour in the maximum norm,

        I = 1/N Σ_i [ψ(k~_i) + log N − ψ(n_x,i) − ψ(n_y,i)]            (Gao et al. 2017, Algorithm 1)

    where k~_i = k, and n_x,i, n_y,i count the points (i included) nearer than ε_i in x and in y; where
    ε_i = 0, all three count the points at distance 0.

    Args:
        x: (N,) finite numbers.
        y: (N,) finite numbers.
        k: number of neighbours, 1 .. N-1.
        variant: "gao2017", or "losapio2024", where n_x and n_y count the points at distance ε_i too.

    Returns:
        The estimate in nats. It can be slightly negative; for a constant it is log N − ψ(N) or less, not
        exactly 0 (the matrix in `factorization.matrix` reports 0 there).

    Raises:
        SampleError: NaN or infinite values, fewer than k + 1 samples, or different lengths.
        SettingError: k < 1, or an unknown variant.

    Source:
        W. Gao, S. Kannan, S. Oh, P. Viswanath: Estimating Mutual Information for Discrete-Continuous
        Mixtures, NIPS 2017, arXiv 1709.06212; G. Losapio et al.: State and Action Factorization in Power
        Grids, arXiv 2409.04467.
    """
    if variant not in get_args(Variant):
        msg = f"mixed_ksg: variant is {variant!r}, expected one of {get_args(Variant)}"
        raise SettingError(msg)
    xs, ys = checked_pair(x, y, k, "mixed_ksg")
    joint, n_x, n_y, _ = neighbour_counts(xs, ys, k, variant == "gao2017")
    psi = digamma_table(len(xs))
    return float(np.mean(psi[joint] - psi[n_x] - psi[n_y]) + np.log(len(xs)))


def discrete_continuous(labels: ArrayLike, y: ArrayLike, k: int) -> float:
    """Estimate I(label; y) of labels, which have no order and no distance, and numbers.

    With ε_i the distance of point i to its k-th neighbour among those of the same label,

        I = ψ(N) + 1/N Σ_i [ψ(k_i) − ψ(N_i) − ψ(m_i)]                        (Ross 2014, equation 2)

    where N_i counts the points with the label of i, k_i = min(k, N_i − 1), and m_i counts all points
    (i included) nearer than ε_i; where ε_i = 0, k_i and m_i count the points at distance 0. Points whose
    label occurs once have no neighbour and are left out, as in scikit-learn.

    Args:
        labels: (N,) integers, strings, or anything that numpy can sort and compare.
        y: (N,) finite numbers.
        k: number of neighbours, 1 .. N-1.

    Returns:
        The estimate in nats; 0 if no label occurs twice.

    Raises:
        SampleError: NaN or infinite values, fewer than k + 1 samples, or different lengths.
        SettingError: k < 1.

    Source:
        B. C. Ross: Mutual Information between Discrete and Continuous Data Sets, PLoS ONE 9(2), 2014.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
    _, ys = checked_pair(codes, y, k, "discrete_continuous")
    repeated = np.bincount(codes)[codes] > 1
    codes, ys = codes[repeated], ys[repeated]
    if not len(ys):
        return 0.0
    near, same_label, around = label_counts(codes, ys, k)
    psi = digamma_table(len(ys))
    return float(psi[len(ys)] + np.mean(psi[near] - psi[same_label] - psi[around]))


def digamma_table(n: int) -> Float:
    """Return (n + 1,): ψ(0..n), with ψ(0), which no count reaches, set to NaN."""
    table = digamma(np.maximum(np.arange(n + 1), 1).astype(np.float64))
    table[0] = np.nan
    return np.asarray(table, np.float64)


def checked_pair(x: ArrayLike, y: ArrayLike, k: int, where: str) -> tuple[Float, Float]:
    """Return both samples as float64, or raise SampleError or SettingError that says what is wrong."""
    xs, ys = checked_sample(x, f"{where}: x"), checked_sample(y, f"{where}: y")
    if len(xs) != len(ys):
        msg = f"{where}: x has {len(xs)} samples and y has {len(ys)}, expected as many of both"
        raise SampleError(msg)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        msg = f"{where}: k is {k!r}, expected an integer >= 1"
        raise SettingError(msg)
    if len(xs) <= k:
        msg = f"{where}: {len(xs)} samples for k = {k}, expected at least k + 1; take more, or a smaller k"
        raise SampleError(msg)
    return xs, ys


def checked_sample(values: ArrayLike, where: str) -> Float:
    """Return one sample as (N,) float64; raise SampleError unless it is one column of finite numbers."""
    try:
        column = np.ascontiguousarray(values, np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{where} is not numeric ({error}); give it as a label, or convert it to numbers"
        raise SampleError(msg) from error
    if column.ndim == 2 and 1 in column.shape:
        column = column.reshape(-1)
    if column.ndim != 1:
        msg = f"{where} has shape {column.shape}, expected one column (N,)"
        raise SampleError(msg)
    bad = ~np.isfinite(column)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        msg = (
            f"{where} has {int(bad.sum())} values that are not finite, first {column[first]} in row {first}; "
            "remove these rows"
        )
        raise SampleError(msg)
    return column
