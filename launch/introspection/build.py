"""Messages from YAML or JSON on the command line, each fault with the name of its field."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import yaml

from broker.errors import MessageError
from broker.messages import Array
from broker.schema import BY_NAME, Schema
from broker.strict import DTYPES
from launch.introspection.errors import QuestionError
from launch.suggest import did_you_mean

_KINDS = {"b": "|b1", "i": "<i8", "u": "<i8", "f": "<f4"}  # numpy's kind -> dtype on the wire


def schema_named(name: str) -> Schema:
    """Return the schema of a message type.

    Raises:
        QuestionError: if there is no such type.
    """
    if name not in BY_NAME:
        msg = f"message type {name}: there is none of that name; {did_you_mean(name, BY_NAME)}"
        raise QuestionError(msg)
    return BY_NAME[name]


def message_from(text: str, schema: Schema) -> Any:
    """Return the message that a text describes.

    Args:
        text: a YAML or JSON mapping of field names to values. Arrays are nested lists: of <i8 if all are
            integers, |b1 if all are booleans, else <f4; or `{dtype: <f8, data: [...]}`.
        schema: of the message type.

    Raises:
        QuestionError: naming the field that is unknown, missing or of a wrong type.
    """
    values = _mapping(text, schema)
    declared = dataclasses.fields(schema.cls)
    names = [field.name for field in declared]
    for name in values:
        if name not in names:
            msg = f"{schema.name}.{name}: there is no such field; {did_you_mean(str(name), names)}"
            raise QuestionError(msg)
    missing = [f.name for f in declared if f.name not in values and f.default is dataclasses.MISSING]
    if missing:
        msg = f"{schema.name}: got no {', '.join(missing)}; its fields are {', '.join(names)}"
        raise QuestionError(msg)
    try:
        return schema.cls(**{name: _field(schema, name, value) for name, value in values.items()})
    except MessageError as error:
        raise QuestionError(str(error)) from error


def _mapping(text: str, schema: Schema) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"{schema.name}: {text!r:.80} is neither YAML nor JSON: {' '.join(str(error).split())}"
        raise QuestionError(msg) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        msg = f"{schema.name}: got {values!r:.80}, expected a mapping such as '{{tick: 3}}'"
        raise QuestionError(msg)
    return values


def _field(schema: Schema, name: str, value: Any) -> Any:
    where = f"{schema.name}.{name}"
    if name in schema.arrays:
        return None if value is None and name not in schema.required else _array(where, value)
    kind = schema.scalar_types[schema.scalars.index(name)]
    if kind is float and type(value) is int:
        return float(value)
    if kind is tuple and isinstance(value, list):
        item_kind = schema.items[name]
        if all(type(item) is item_kind for item in value):
            return tuple(value)
        kind_name = f"a list of {item_kind.__name__}"
    else:
        kind_name = "a list" if kind is tuple else kind.__name__
    if type(value) is not kind:
        msg = f"{where}: got {value!r:.60} ({type(value).__name__}), expected {kind_name}"
        raise QuestionError(msg)
    return value


def _array(where: str, value: Any) -> Array:
    dtype = None
    if isinstance(value, dict) and set(value) == {"dtype", "data"}:
        dtype, value = value["dtype"], value["data"]
        if dtype not in DTYPES:
            msg = f"{where}: got dtype {dtype!r}, expected one of {', '.join(DTYPES)}"
            raise QuestionError(msg)
    try:
        array = np.array(value)
        dtype = dtype or _KINDS.get(array.dtype.kind)
        if dtype is None or array.ndim == 0:
            raise TypeError(value)  # noqa: TRY301 - one place says what is wrong
        return np.ascontiguousarray(array, dtype)
    except (ValueError, TypeError, OverflowError):
        msg = f"{where}: got {value!r:.60}, expected nested lists of numbers or of booleans, all rows alike"
        raise QuestionError(msg) from None
