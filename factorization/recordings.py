"""Read recorded observations and actions: arrays of named columns, one row per tick."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping, Sequence
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
    if path.suffix == ".csv":
        _check_numbers(path, columns, labels)
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
                return _columns(path, list(csv.reader(lines)))
    except SampleError:
        raise
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile) as error:
        msg = f"recording {path}: cannot be read ({error}); expected named columns of equal length"
        raise SampleError(msg) from error
    msg = f"recording {path}: unknown kind of file '{path.suffix}', expected .npz or .csv"
    raise SampleError(msg)


def _columns(path: Path, rows: list[list[str]]) -> dict[str, NDArray[Any]]:
    while rows and not rows[-1]:
        rows.pop()  # empty lines at the end
    names = rows[0] if rows else []
    if not names:
        msg = f"recording {path}: is empty; expected names of columns in the first line"
        raise SampleError(msg)
    if len(names) == 1 and ";" in names[0]:
        msg = f"recording {path}: the first line is {names[0]!r}; separate columns by commas, not semicolons"
        raise SampleError(msg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"recording {path}: several columns are called {twice}; give each a name of its own"
        raise SampleError(msg)
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            msg = (
                f"recording {path}, line {line}: {len(row)} cells, expected {len(names)}, one for each column"
            )
            raise SampleError(msg)
    return {name: _column([row[i] for row in rows[1:]]) for i, name in enumerate(names)}


def _column(cells: list[str]) -> NDArray[Any]:
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return np.array(cells)


def _check_numbers(path: Path, columns: Mapping[str, NDArray[Any]], labels: Sequence[str]) -> None:
    """Refuse text in a column that is no label, naming the line (the names are in line 1) and the column."""
    for name, cells in columns.items():
        if name in labels or cells.dtype.kind != "U":
            continue
        line, cell = next((n, str(c)) for n, c in enumerate(cells, 2) if not _is_number(str(c)))
        if not cell.strip():
            advice = "is empty; fill it in, or remove the line"
        elif name.endswith(NEXT):
            advice = f"is {cell!r}, expected a number: what is to be predicted cannot be a label"
        else:
            advice = f"is {cell!r}, expected a number; if the column holds labels, say --label {name}"
        msg = f"recording {path}, line {line}: column {name} {advice}"
        raise SampleError(msg)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
