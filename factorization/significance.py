"""Which pairs share more than chance: thresholds on a matrix of mutual information.

Two rules give the edges of the dependence graph. `quantile_edges` is the published one: in every
column the strongest values count. `significant_edges` needs no choice of how many: it compares every
value with the shuffled ones and keeps the rate of false discoveries below a bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factorization.errors import SettingError
from factorization.matrix import InformationMatrix

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

DEFAULT_QUANTILE = 0.7
DEFAULT_FDR = 0.001  # one false edge is enough to join two clusters
_GUARD = 5.0  # standard deviations of shuffled values: below this nothing is an edge
_PRIOR = 4  # degrees of freedom that the common variance lends to each pair's own
_FEWEST = 40  # shuffled values that are needed to tell what chance does


def check_quantile(quantile: float) -> None:
    """Refuse what is no quantile. Raises SettingError."""
    if not 0 <= quantile < 1:
        msg = f"quantile is {quantile!r}, expected a number in [0, 1)"
        raise SettingError(msg)


def check_fdr(fdr: float) -> None:
    """Refuse what is no false discovery rate. Raises SettingError."""
    if not 0 < fdr < 1:
        msg = f"fdr is {fdr!r}, expected a number in (0, 1)"
        raise SettingError(msg)


def quantile_edges(matrix: InformationMatrix, quantile: float = DEFAULT_QUANTILE) -> Bool:
    """Return (n_targets, n_inputs): True where a value reaches the quantile of its column.

    An edge is c(x, s') >= δ (arXiv 2409.04467, section 4), with δ the largest value of the column that is
    not above its quantile. Values within five standard deviations of the shuffled ones are no edges,
    whatever their rank: a column that informs about two targets has no third.

    Raises:
        SettingError: the quantile is not in [0, 1).
    """
    check_quantile(quantile)
    threshold = np.quantile(matrix.net, quantile, axis=0, method="lower")
    edges: Bool = (matrix.net >= threshold) & (matrix.net > _GUARD * noise(matrix))
    return edges


def significant_edges(matrix: InformationMatrix, fdr: float = DEFAULT_FDR) -> Bool:
    """Return (n_targets, n_inputs): True where chance is ruled out (Benjamini and Hochberg 1995).

    Args:
        matrix: with at least 2 shuffles per pair, and 40 shuffled values in all.
        fdr: expected share of false edges among all edges.

    Raises:
        SettingError: fdr is not in (0, 1), or there are too few shuffled values.
    """
    check_fdr(fdr)
    p = p_values(matrix)
    ordered = np.sort(p, axis=None)
    passes = np.flatnonzero(ordered <= fdr * np.arange(1, p.size + 1) / p.size)
    limit = ordered[passes[-1]] if len(passes) else -1.0
    edges: Bool = p <= limit
    return edges


def p_values(matrix: InformationMatrix) -> Float:
    """Return (n_targets, n_inputs): the probability of so large a value by chance.

    Each value is put in units of its pair's spread (a variance moderated towards that of all pairs,
    after Smyth 2004) and compared with all shuffled values, each in units found from its pair's other
    shuffles. Beyond the 2 % largest of them the tail is extrapolated (after Knijnenburg et al. 2009),
    since p-values far below one over the number of shuffles are needed.

    Raises:
        SettingError: there are too few shuffled values.
    """
    shuffled = matrix.shuffled
    m = len(shuffled)
    live = (matrix.information != 0) | shuffled.any(axis=0)  # a constant has 0 throughout
    if m < 2 or m * live.sum() < _FEWEST:
        msg = (
            f"significance of {int(live.sum())} pairs with {m} shuffles each: expected at least 2 shuffles "
            f"and {_FEWEST} shuffled values in all; raise n_shuffles"
        )
        raise SettingError(msg)
    common = float(shuffled.var(axis=0, ddof=1)[live].mean())
    total, squares = shuffled.sum(axis=0), (shuffled**2).sum(axis=0)
    observed = _in_spreads(matrix.information, total, squares, m, common)
    null = np.concatenate([
        _in_spreads(values, total - values, squares - values**2, m - 1, common)[live] for values in shuffled
    ])  # fmt: skip
    return np.where(live, _tail(np.sort(null), observed), 1.0)


def noise(matrix: InformationMatrix) -> float:
    """Return the standard deviation of shuffled values around their mean, nats."""
    shuffled = matrix.shuffled
    if len(shuffled) > 1:
        return float(np.sqrt(shuffled.var(axis=0, ddof=1).mean()))
    return float(shuffled.std()) if len(shuffled) else 0.0


def _in_spreads(values: Float, total: Float, squares: Float, m: int, common: float) -> Float:
    """Return how many standard deviations `values` lie above the mean of m others."""
    mean = total / m
    deviations = np.maximum(squares - m * mean**2, 0.0)
    variance = (deviations + _PRIOR * common) / (m - 1 + _PRIOR)
    scaled: Float = (values - mean) / np.sqrt(variance * (1 + 1 / m) + 1e-300)
    return scaled


def _tail(null: Float, observed: Float) -> Float:
    """Return the share of `null` (ascending) that reaches each observed value, extrapolated.

    The tail is what an exponential with a mean learnt from n values predicts for one more value: a Pareto
    distribution of the second kind (Lomax), which allows for the mean being uncertain.
    """
    size = len(null)
    n_tail = max(10, size // 50)
    edge = null[-n_tail]
    mean_excess = max(float((null[-n_tail:] - edge).sum()) / (n_tail - 1), 1e-300)
    reached = size - np.searchsorted(null, observed, side="left")
    beyond = n_tail / size * (1 + np.maximum(observed - edge, 0.0) / (n_tail * mean_excess)) ** -n_tail
    probability: Float = np.where(observed > edge, beyond, (1 + reached) / (1 + size))
    return probability
