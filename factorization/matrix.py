"""The matrix of mutual information between every input and every target, and its shuffled twins.

A shuffled input shares nothing with any target, so what is estimated there is the estimator's bias
and spread. Every shuffle is fixed by (seed, input, number), whoever computes it and in what order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from factorization.atomic import write_arrays
from factorization.errors import SampleError, SettingError
from factorization.mutual_information import Variant, default_k, discrete_continuous, mixed_ksg
from factorization.samples import Samples, Variable

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]  # (pairs done, pairs in all)


@dataclass(frozen=True)
class MatrixSettings:
    """How a matrix is computed."""

    k: int = 0  # neighbours; 0 means N/20
    variant: Variant = "gao2017"
    label_estimator: str = "discrete_continuous"  # or "mixed_ksg": labels as numbers, as published
    n_shuffles: int = 10  # of every pair
    seed: int = 0
    n_jobs: int = 1  # of joblib; -1 means all cores

    def __post_init__(self) -> None:
        if self.k < 0 or self.n_shuffles < 0:
            msg = f"matrix: k = {self.k} and n_shuffles = {self.n_shuffles}, expected both >= 0"
            raise SettingError(msg)
        if self.label_estimator not in ("discrete_continuous", "mixed_ksg"):
            known = "'discrete_continuous' or 'mixed_ksg'"
            msg = f"matrix: label_estimator is {self.label_estimator!r}, expected {known}"
            raise SettingError(msg)


@dataclass(frozen=True)
class InformationMatrix:
    """Mutual information in nats: one row per target, one column per input."""

    environment: str
    targets: tuple[Variable, ...]
    inputs: tuple[Variable, ...]
    information: Float  # (n_targets, n_inputs) nats
    shuffled: Float  # (n_shuffles, n_targets, n_inputs) nats
    n_samples: int
    settings: MatrixSettings
    samples_sha256: str

    @property
    def net(self) -> Float:
        """Return (n_targets, n_inputs): information less the mean of the shuffled values."""
        return self.information - self.shuffled.mean(axis=0) if len(self.shuffled) else self.information

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Return every variable once: targets first, then the inputs that are no targets."""
        return tuple(dict.fromkeys((*self.targets, *self.inputs)))

    @property
    def sha256(self) -> str:
        """Return the hash of all values and names, to the precision of 1e-9 nats."""
        digest = hashlib.sha256(repr((self.environment, self.targets, self.inputs)).encode())
        digest.update(np.round(self.information, 9).tobytes() + np.round(self.shuffled, 9).tobytes())
        return digest.hexdigest()


def compute_matrix(
    samples: Samples,
    settings: MatrixSettings | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> InformationMatrix:
    """Compute the mutual information of all pairs.

    The work runs through joblib, as threads unless `joblib.parallel_config` chooses another backend.

    Args:
        samples: N samples.
        settings: neighbours, variant, shuffles, seed, jobs.
        checkpoint: file that keeps the finished columns; a run that was killed goes on from there. It is
            ignored if it belongs to other samples or settings, and removed in the end.
        progress: called after every column.

    Raises:
        SampleError: no more samples than neighbours.
        OutputError: the checkpoint cannot be written.
    """
    chosen = settings or MatrixSettings()
    k = chosen.k or default_k(samples.n)
    if samples.n <= k:
        msg = f"matrix of {samples.environment}: {samples.n} samples for k = {k}, expected at least k + 1"
        raise SampleError(msg)
    shape = (1 + chosen.n_shuffles, len(samples.targets), len(samples.inputs))
    fingerprint = (
        f"{samples.sha256} k={k} {chosen.variant} {chosen.label_estimator} {chosen.n_shuffles} {chosen.seed}"
    )
    values, done = _resume(checkpoint, fingerprint, shape)
    for column in np.flatnonzero(~done):
        pairs = Parallel(n_jobs=chosen.n_jobs, prefer="threads")(
            delayed(_pair)(samples, row, int(column), k, chosen) for row in range(shape[1])
        )
        values[:, :, column] = np.stack(pairs, axis=1)
        done[column] = True
        if checkpoint is not None:
            write_arrays(checkpoint, fingerprint=np.array(fingerprint), values=values, done=done)
        if progress is not None:
            progress(int(done.sum()) * shape[1], shape[1] * shape[2])
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return InformationMatrix(
        samples.environment,
        samples.targets,
        samples.inputs,
        values[0],
        values[1:],
        samples.n,
        chosen,
        samples.sha256,
    )


def _pair(samples: Samples, row: int, column: int, k: int, settings: MatrixSettings) -> Float:
    """Return (1 + n_shuffles,): the information of one pair, and of its shuffles."""
    x, y = samples.before[column], samples.target(row, column)
    values = np.zeros(1 + settings.n_shuffles)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return values  # a constant carries no information
    label = samples.inputs[column] in samples.labels
    order = label and settings.label_estimator == "mixed_ksg"
    scale = len(np.unique(x)) if order else 1  # as published: the number of a label over that of all labels
    for number in range(len(values)):
        if number:
            x = samples.shuffled(column, np.random.default_rng([settings.seed, column, number]))
        values[number] = (
            discrete_continuous(x, y, k)
            if label and not order
            else mixed_ksg(x / scale, y, k, settings.variant)
        )
    return values


def _resume(
    checkpoint: Path | None, fingerprint: str, shape: tuple[int, int, int]
) -> tuple[Float, NDArray[np.bool_]]:
    if checkpoint is not None and checkpoint.exists():
        with np.load(checkpoint, allow_pickle=False) as saved:
            if str(saved["fingerprint"]) == fingerprint:
                return saved["values"], saved["done"]
    return np.zeros(shape), np.zeros(shape[2], np.bool_)


def save_matrix(matrix: InformationMatrix, path: Path) -> None:
    """Write the matrix to a .npz file. Raises OutputError."""
    write_arrays(
        path,
        environment=np.array(matrix.environment),
        targets=np.array([f"{v.kind}:{v.id}" for v in matrix.targets]),
        inputs=np.array([f"{v.kind}:{v.id}" for v in matrix.inputs]),
        information=matrix.information,
        shuffled=matrix.shuffled,
        n_samples=np.array(matrix.n_samples),
        settings=np.array(repr(asdict(matrix.settings))),
    )
