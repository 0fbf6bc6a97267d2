"""Samples: what a grid's variables were before a step, what was done, and what they were after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factorization.errors import SampleError
from factorization.mutual_information import checked_sample

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, order=True)
class Variable:
    """One variable of a grid: its kind (line, substation, state, action, ...) and its number or name."""

    kind: str
    id: int | str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @classmethod
    def parse(cls, name: str) -> Variable:
        """Return the variable called `name`: "line:3", "line_3" and "line 3" are line number 3."""
        match = re.fullmatch(r"(.*?[^\d:_ ])[:_ ]?(\d+)", name)
        if match:
            return cls(match[1], int(match[2]))
        kind, colon, rest = name.partition(":")
        return cls(kind, rest) if colon else cls("variable", name)


@dataclass(frozen=True)
class Samples:
    """N samples of inputs (state and action components) and targets (next-state components).

    A variable that appears among the inputs and among the targets is one variable, before and after.
    """

    environment: str
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    before: Float  # (n_inputs, N); labels are whole numbers without order
    after: Float  # (n_targets, N), or (n_inputs, n_targets, N) where each input was sampled on its own
    labels: frozenset[Variable] = frozenset()  # inputs that are labels, not numbers
    origin: Int64 | None = None  # (N,) of a bootstrap resample: the sample that each was drawn from

    def __post_init__(self) -> None:
        own = self.after.ndim == 3
        expected = (*((len(self.inputs),) if own else ()), len(self.targets), self.before.shape[-1])
        if not self.inputs or not self.targets:
            counts = f"{len(self.inputs)} inputs and {len(self.targets)} targets"
            msg = f"samples of {self.environment}: {counts}, expected some of both"
            raise SampleError(msg)
        if self.before.shape != (len(self.inputs), self.before.shape[-1]) or self.after.shape != expected:
            msg = (
                f"samples of {self.environment}: before is {self.before.shape} and after {self.after.shape}, "
                f"expected ({len(self.inputs)}, N) and {expected}"
            )
            raise SampleError(msg)
        for name, rows in (("before", self.before), ("after", self.after)):
            if not np.isfinite(rows).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(rows))[0])
                msg = (
                    f"samples of {self.environment}: {name}{list(where)} is {rows[where]}, "
                    "expected finite numbers; remove that sample"
                )
                raise SampleError(msg)

    @property
    def n(self) -> int:
        """Return N."""
        return int(self.before.shape[1])

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Return every variable once: targets first, then the inputs that are no targets."""
        return tuple(dict.fromkeys((*self.targets, *self.inputs)))

    @property
    def sha256(self) -> str:
        """Return the hash of names and values."""
        digest = hashlib.sha256(repr((self.inputs, self.targets, sorted(self.labels))).encode())
        digest.update(np.ascontiguousarray(self.before).tobytes())
        digest.update(np.ascontiguousarray(self.after).tobytes())
        return digest.hexdigest()

    def target(self, row: int, column: int) -> Float:
        """Return (N,): target `row` as seen with input `column`."""
        return np.asarray(self.after[column, row] if self.after.ndim == 3 else self.after[row])

    def half(self, rng: np.random.Generator) -> Samples:
        """Return half of the samples, drawn without replacement."""
        return self._take(rng.permutation(self.n)[: self.n // 2])

    def bootstrapped(self, rng: np.random.Generator) -> Samples:
        """Return as many samples, drawn with replacement."""
        rows = rng.integers(self.n, size=self.n)
        return replace(self._take(rows), origin=rows)

    def _take(self, rows: Int64) -> Samples:
        return replace(self, before=self.before[:, rows], after=self.after[..., rows])

    def shuffled(self, column: int, rng: np.random.Generator) -> Float:
        """Return (N,): the values of input `column` given to other samples at random.

        Copies of one sample in a bootstrap resample stay copies of each other: being drawn twice is no
        dependence, and must look the same with and without shuffling.
        """
        x: Float = self.before[column]
        if self.origin is None:
            return rng.permutation(x)
        _, first, copy_of = np.unique(self.origin, return_index=True, return_inverse=True)
        return np.asarray(rng.permutation(x[first])[copy_of])


def coded(values: ArrayLike) -> Float:
    """Return labels of any sortable type as whole numbers 0, 1, ..."""
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.float64)


def from_columns(
    environment: str,
    before: dict[str, ArrayLike],
    after: dict[str, ArrayLike],
    labels: Sequence[str] = (),
) -> Samples:
    """Build samples from named columns.

    Args:
        environment: where they are from.
        before: name -> (N,) values of the inputs.
        after: name -> (N,) values of the targets; the same name as an input is the same variable.
        labels: names of inputs that are labels.

    Raises:
        SampleError: columns of different lengths, not numeric, NaN or infinite, or an unknown label.
    """
    unknown = sorted(set(labels) - set(before))
    if unknown:
        msg = f"samples of {environment}: labels {unknown} are no inputs; the inputs are {sorted(before)}"
        raise SampleError(msg)
    columns = {
        f"{side} {name}": coded(values)
        if side == "before" and name in labels
        else checked_sample(values, name)
        for side, group in (("before", before), ("after", after))
        for name, values in group.items()
    }
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        msg = f"samples of {environment}: columns have different lengths {lengths}, expected one length"
        raise SampleError(msg)
    return Samples(
        environment,
        tuple(map(Variable.parse, before)),
        tuple(map(Variable.parse, after)),
        np.stack([columns[f"before {name}"] for name in before]) if before else np.zeros((0, 0)),
        np.stack([columns[f"after {name}"] for name in after]) if after else np.zeros((0, 0)),
        frozenset(map(Variable.parse, labels)),
    )
