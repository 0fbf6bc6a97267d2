"""Messages as text: YAML as `ros2 topic echo` prints it, or a line of comma-separated values."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import yaml

from broker.codec import Header
from broker.messages import Array


class _Row(list[Any]):
    """What stands on one line, in brackets."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Blocks, but for rows."""


_Dumper.add_representer(
    _Row, lambda dumper, row: dumper.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True)
)

_MORE = "..."
_WIDTH = 2**31 - 1  # of a line: never folded


def fields_of(message: Any, header: Header) -> dict[str, Any]:
    """Return the fields of a message by name, and those of its header below `header`."""
    return {**values_of(message), "header": header._asdict()}


def values_of(message: Any) -> dict[str, Any]:
    """Return the fields of a message by name, in the order in which they are declared."""
    return {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}


def as_yaml(value: Any, longest: int | None) -> str:
    """Return a value, or the fields of a message, as YAML.

    Args:
        value: scalars, text, tuples, arrays and mappings of these.
        longest: numbers of an array, items of a tuple or characters of a text that are shown; None: all.
    """
    plain = _plain(value, longest)
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text.removesuffix("...\n").rstrip("\n")


def as_csv(value: Any) -> str:
    """Return a value, or the fields of a message, as one line of all its numbers and texts."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(_flat(value))
    return line.getvalue()


def without_arrays(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the kind and shape of each array in its place."""
    return {
        name: f"<array: {value.dtype.str} {value.shape}>" if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }


def _plain(value: Any, longest: int | None) -> Any:
    match value:
        case np.ndarray():
            return _listed(value, longest)
        case np.generic():
            return _number(value)
        case str():
            return value if longest is None or len(value) <= longest else value[:longest] + _MORE
        case tuple() | list():
            shown = [_plain(item, longest) for item in value[:longest]]
            return _Row([*shown, _MORE] if len(shown) < len(value) else shown)
        case Mapping():
            return {name: _plain(item, longest) for name, item in value.items()}
    return value


def _listed(array: Array, longest: int | None) -> Any:
    if array.ndim == 0:
        return array.item() if array.dtype.kind != "f" else float(str(array))
    shown: list[Any]
    if array.ndim == 1:
        shown = _Row(_number(item) for item in array[:longest])
    else:
        rows = len(array) if longest is None else longest // max(1, array[0].size if len(array) else 1)
        shown = [_listed(row, longest) for row in array[: max(1, rows)]]
    if len(shown) < len(array):
        shown.append(_MORE)
    return shown


def _number(value: np.generic) -> Any:
    """Return a number of Python; a float of 32 bits with the digits that it has, not those of 64."""
    return float(str(value)) if isinstance(value, np.floating) else value.item()


def _flat(value: Any) -> Iterator[Any]:
    match value:
        case None:
            yield ""
        case np.ndarray():
            yield from (_number(item) for item in value.ravel())
        case np.generic():
            yield _number(value)
        case Mapping():
            yield from _flattened(value.values())
        case tuple() | list():
            yield from _flattened(value)
        case _:
            yield value


def _flattened(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value)
