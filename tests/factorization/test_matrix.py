"""The matrix of mutual information: every pair, its shuffled twins, and runs that were killed."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pytest

from factorization.errors import OutputError, SampleError, SettingError
from factorization.matrix import MatrixSettings, compute_matrix
from factorization.mutual_information import discrete_continuous, mixed_ksg
from factorization.samples import Samples, Variable, from_columns

SETTINGS = MatrixSettings(k=20, n_shuffles=2)


def some_samples(n=400, seed=0):
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, n))
    switch = rng.integers(0, 3, n)
    return from_columns(
        "test",
        {"in_0": a, "in_1": b, "switch_0": switch, "flat": np.ones(n)},
        {"out_0": a + 0.3 * noise, "out_1": b + switch},
        labels=["switch_0"],
    )


def test_every_pair_is_estimated_by_the_estimator_of_its_kind():
    samples = some_samples()
    matrix = compute_matrix(samples, SETTINGS)
    assert matrix.information[0, 0] == mixed_ksg(samples.before[0], samples.after[0], 20)
    assert matrix.information[1, 2] == discrete_continuous(samples.before[2], samples.after[1], 20)
    as_numbers = compute_matrix(samples, replace(SETTINGS, label_estimator="mixed_ksg"))
    assert as_numbers.information[1, 2] == mixed_ksg(samples.before[2] / 3, samples.after[1], 20)


def test_dependent_pairs_stand_out_and_independent_ones_do_not():
    net = compute_matrix(some_samples(), SETTINGS).net
    assert min(net[0, 0], net[1, 1], net[1, 2]) > 0.1
    assert max(net[0, 1], net[0, 2], net[1, 0]) < 0.05


def test_a_constant_column_carries_no_information():
    matrix = compute_matrix(some_samples(), SETTINGS)
    assert np.all(matrix.information[:, 3] == 0)
    assert np.all(matrix.shuffled[:, :, 3] == 0)


def test_the_matrix_does_not_depend_on_the_number_of_jobs_or_the_backend():
    samples = some_samples()
    alone = compute_matrix(samples, SETTINGS)
    threads = compute_matrix(samples, replace(SETTINGS, n_jobs=2))
    with joblib.parallel_config("sequential"):
        carried = compute_matrix(samples, replace(SETTINGS, n_jobs=2))
    assert alone.sha256 == threads.sha256 == carried.sha256


def test_each_input_may_have_samples_of_its_own():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(2, 300))
    after = np.stack([before[:1], rng.normal(size=(1, 300))])
    variables = Variable("a", 0), Variable("a", 1)
    samples = Samples("test", variables, (Variable("b", 0),), before, after)
    information = compute_matrix(samples, SETTINGS).information
    assert information[0, 0] > 1.0 > 0.2 > abs(information[0, 1])


class KilledError(Exception):
    pass


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    samples, checkpoint = some_samples(), tmp_path / "checkpoint.npz"

    def kill(done, total):
        if done >= total / 2:
            raise KilledError

    with pytest.raises(KilledError):
        compute_matrix(samples, SETTINGS, checkpoint, kill)
    seen = []
    matrix = compute_matrix(samples, SETTINGS, checkpoint, lambda done, total: seen.append((done, total)))
    assert seen == [(6, 8), (8, 8)]
    assert matrix.sha256 == compute_matrix(samples, SETTINGS).sha256
    assert not checkpoint.exists()


def test_a_checkpoint_of_other_samples_or_settings_is_not_used(tmp_path):
    checkpoint = tmp_path / "checkpoint.npz"

    def kill(done, total):
        raise KilledError

    for other in (some_samples(seed=1), some_samples()):
        with pytest.raises(KilledError):
            compute_matrix(other, replace(SETTINGS, k=19), checkpoint, kill)
        seen = []
        compute_matrix(some_samples(), SETTINGS, checkpoint, lambda done, _, seen=seen: seen.append(done))
        assert seen == [2, 4, 6, 8]


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot be written .*choose a file in a folder"):
        compute_matrix(some_samples(), SETTINGS, tmp_path / "file" / "checkpoint.npz")


def test_too_few_samples_and_wrong_settings_are_refused():
    with pytest.raises(SampleError, match="15 samples for k = 20, expected at least k"):
        compute_matrix(some_samples(15), SETTINGS)
    with pytest.raises(SettingError, match="expected both >= 0"):
        MatrixSettings(k=-1)
    with pytest.raises(SettingError, match="label_estimator is 'order'"):
        MatrixSettings(label_estimator="order")


def test_copies_in_a_bootstrap_resample_stay_copies_when_shuffled():
    samples = some_samples(200)
    drawn = samples.bootstrapped(np.random.default_rng(0))
    x = drawn.shuffled(0, np.random.default_rng(1))
    for origin in np.unique(drawn.origin):
        assert len(np.unique(x[drawn.origin == origin])) == 1
    assert not np.array_equal(x, drawn.before[0])
