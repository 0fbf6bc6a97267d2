"""Read recorded observations and actions: arrays of named columns, one row per tick."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factorization.errors import SampleError
from factorization.samples import Samples, from_columns

EPISODE = "episode"  # a column of this name says where one recording ends and the next begins
NEXT = "_next"


def read_recording(
    source: str | Path, targets: Sequence[str] = (), labels: Sequence[str] = (), environment: str = ""
) -> Samples:
    """Read samples from a .npz (one array per column) or .csv file (names in the first line).

    Columns whose names end in `_next` are next-state components. If there are none, the rows are
    consecutive ticks: what a target is after a step is what it is in the next row, and no step goes from
    one value of the column `episode` to another.

    Args:
        source: path of the file.
        targets: state components, in files without `_next`; empty means all columns that are no labels.
        labels: columns that are labels (choices), not numbers.
        environment: name to keep with the samples; the file's name if empty.

    Raises:
        SampleError: the file cannot be read, has no usable rows, or lacks a column that was named.
    """
    path = Path(source)
    columns = _read(path)
    absent = sorted({*targets, *labels} - set(columns))
    if absent:
        msg = f"recording {path}: has no columns {absent}; it has {sorted(columns)}"
        raise SampleError(msg)
    episode = columns.pop(EPISODE, None)
    after: dict[str, Any] = {n.removesuffix(NEXT): c for n, c in columns.items() if n.endswith(NEXT)}
    before: dict[str, Any] = {n: c for n, c in columns.items() if not n.endswith(NEXT)}
    if not after:
        names = targets or [name for name in before if name not in labels]
        length = len(next(iter(before.values()), ()))
        steps = np.arange(max(length - 1, 0))
        if episode is not None:
            steps = steps[episode[:-1] == episode[1:]]
        after = {name: before[name][steps + 1] for name in names}
        before = {name: column[steps] for name, column in before.items()}
    return from_columns(environment or path.stem, before, after, labels)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as lines:
                rows = list(csv.reader(lines))
            return {name: _column([row[i] for row in rows[1:]]) for i, name in enumerate(rows[0])}
    except (OSError, ValueError, IndexError, zipfile.BadZipFile) as error:
        msg = f"recording {path}: cannot be read ({error}); expected named columns of equal length"
        raise SampleError(msg) from error
    msg = f"recording {path}: unknown kind of file '{path.suffix}', expected .npz or .csv"
    raise SampleError(msg)


def _column(cells: list[str]) -> NDArray[Any]:
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return np.array(cells)
