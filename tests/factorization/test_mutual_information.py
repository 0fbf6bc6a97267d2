"""The estimators equal their definitions, and obey the laws of mutual information."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from factorization.errors import SampleError, SettingError
from factorization.mutual_information import discrete_continuous, mixed_ksg
from tests.factorization import definition

GOLDEN = Path(__file__).parents[1] / "golden" / "factorization" / "mixed_ksg_losapio2024.npz"
VARIANTS = ("gao2017", "losapio2024")
EXACT = 1e-9


@st.composite
def pairs(draw, largest=60):
    """Two samples and a k: continuous, discrete, zero-inflated, duplicated, constant, or a mixture."""
    n = draw(st.integers(2, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = {
        "continuous": lambda: rng.normal(size=n),
        "discrete": lambda: rng.integers(0, 4, n).astype(float),
        "zero inflated": lambda: rng.normal(size=n) * (rng.random(n) < 0.5),
        "duplicated": lambda: rng.normal(size=max(1, n // 3))[rng.integers(0, max(1, n // 3), n)],
        "constant": lambda: np.full(n, rng.normal()),
        "coarse": lambda: np.round(rng.normal(size=n), 1),
        "wide": lambda: rng.standard_cauchy(n) * 1e6,
    }
    x = kinds[draw(st.sampled_from(sorted(kinds)))]()
    y = kinds[draw(st.sampled_from(sorted(kinds)))]()
    if draw(st.booleans()):
        y = np.where(rng.random(n) < 0.6, x, y)
    return x, y, draw(st.integers(1, n - 1))


@given(pairs(), st.sampled_from(VARIANTS))
@settings(deadline=None, max_examples=150)
def test_mixed_ksg_equals_its_definition(pair, variant):
    x, y, k = pair
    assert mixed_ksg(x, y, k, variant) == pytest.approx(definition.mixed_ksg(x, y, k, variant), abs=EXACT)


@given(pairs(), st.integers(1, 8))
@settings(deadline=None, max_examples=100)
def test_discrete_continuous_equals_its_definition(pair, n_labels):
    x, y, k = pair
    labels = np.random.default_rng(0).integers(0, n_labels, len(x))
    expected = definition.discrete_continuous(labels, y, k)
    assert discrete_continuous(labels, y, k) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("n", [257, 600])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_k_up_to_all_the_others_is_exact(n, variant):
    rng = np.random.default_rng(n)
    x = np.where(rng.random(n) < 0.3, 0.0, rng.normal(size=n))
    y = np.where(rng.random(n) < 0.5, x, np.round(rng.normal(size=n), 1))
    for k in (1, 2, n // 20, n // 3, n - 2, n - 1):
        expected = definition.mixed_ksg(x, y, k, variant)
        assert mixed_ksg(x, y, k, variant) == pytest.approx(expected, abs=EXACT)


def test_losapio2024_meets_every_reference_value():
    with np.load(GOLDEN) as golden:
        names = [name for name in golden.files if name.endswith("_mi")]
        assert len(names) == 48
        for name in names:
            case, k = re.fullmatch(r"(.*)_k(\d+)_mi", name).groups()
            value = mixed_ksg(golden[f"{case}_x"], golden[f"{case}_y"], int(k), "losapio2024")
            assert value == pytest.approx(float(golden[name]), abs=EXACT), name


@given(pairs(), st.sampled_from(VARIANTS), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_information_is_symmetric_and_does_not_depend_on_the_order_of_rows(pair, variant, seed):
    x, y, k = pair
    order = np.random.default_rng(seed).permutation(len(x))
    value = mixed_ksg(x, y, k, variant)
    assert mixed_ksg(y, x, k, variant) == pytest.approx(value, abs=EXACT)
    assert mixed_ksg(x[order], y[order], k, variant) == pytest.approx(value, abs=EXACT)


@given(pairs(), st.sampled_from(VARIANTS), st.sampled_from([-4.0, 0.5, 1024.0]))
@settings(deadline=None, max_examples=40)
def test_information_does_not_depend_on_the_unit(pair, variant, factor):
    x, y, k = pair
    assert mixed_ksg(factor * x, factor * y, k, variant) == pytest.approx(
        mixed_ksg(x, y, k, variant), abs=EXACT
    )


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_information_of_anything_is_not_below_zero_by_more_than_noise(seed):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, 3000))
    y = rng.uniform(0, 1) * x + z
    assert mixed_ksg(x, y, 150) > -0.02
    assert discrete_continuous(np.digitize(x, [-1, 0, 1]), y, 150) > -0.02


def test_gaussians_have_the_information_that_theory_gives():
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 20_000))
    for rho in (0.3, 0.6, 0.9):
        y = rho * x + np.sqrt(1 - rho**2) * z
        assert mixed_ksg(x, y, 50) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.02)


def test_a_copy_of_a_fair_coin_has_the_information_log_2():
    coin = np.tile([0.0, 1.0], 500)
    assert mixed_ksg(coin, coin, 5) == pytest.approx(np.log(2), abs=2e-3)


def test_estimates_agree_with_scikit_learn():
    rng = np.random.default_rng(2)
    x, z = rng.normal(size=(2, 3000))
    y = 0.7 * x + 0.7 * z
    labels = np.digitize(x, [-0.5, 0.5])
    theirs = mutual_info_classif(y[:, None], labels, n_neighbors=5, random_state=0)[0]
    assert discrete_continuous(labels, y, 5) == pytest.approx(theirs, abs=1e-6)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=5, random_state=0)[0]
    assert mixed_ksg(x, y, 5) == pytest.approx(theirs, abs=0.03)


def test_labels_have_no_order():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 6, 2000)
    y = rng.normal(size=2000) + (labels == 3)
    renamed = np.array(["q", "b", "z", "a", "m", "c"])[labels]
    assert discrete_continuous(labels, y, 50) == pytest.approx(discrete_continuous(renamed, y, 50), abs=EXACT)


def test_labels_that_occur_once_inform_about_nothing():
    assert discrete_continuous(np.arange(10), np.arange(10.0), 3) == 0.0


@pytest.mark.parametrize("estimator", [mixed_ksg, discrete_continuous])
@pytest.mark.parametrize(
    ("x", "y", "k", "error", "says"),
    [
        ([0, 1, 2, 3], [0, 1, np.nan, 3], 2, SampleError, "y has 1 .* not finite, first nan in row 2"),
        ([0, 1, 2, 3], [0, np.inf, 2, 3], 2, SampleError, "not finite, first inf in row 1"),
        ([0, 1, 2], [0, 1, 2], 3, SampleError, "3 samples for k = 3, expected at least k"),
        ([0, 1, 2], [0, 1], 1, SampleError, "x has 3 samples and y has 2"),
        ([0, 1, 2], [0, 1, 2], 0, SettingError, "k is 0, expected an integer >= 1"),
        ([0, 1, 2], ["a", "b", "c"], 1, SampleError, "y is not numeric"),
        ([0, 1, 2], np.zeros((3, 2)), 1, SampleError, r"shape \(3, 2\), expected one column"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_is_wrong(estimator, x, y, k, error, says):
    with pytest.raises(error, match=says):
        estimator(x, y, k)


def test_an_unknown_variant_is_refused():
    with pytest.raises(SettingError, match="variant is 'gao', expected one of"):
        mixed_ksg([0, 1], [0, 1], 1, "gao")
