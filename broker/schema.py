"""What the fields of each message type are, worked out once from its dataclass.

A type is found by its name, and its schema hash tells whether both ends mean the same fields by it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from typing import Any

from broker import messages
from broker.errors import MessageError

_SCALARS: dict[str, type] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "tuple[str, ...]": tuple,
    "tuple[int, ...]": tuple,
}
_ITEMS: dict[str, type] = {"tuple[str, ...]": str, "tuple[int, ...]": int}
_ARRAYS = ("Array", "Array | None")


@dataclass(frozen=True)
class Schema:
    """Fields of one message type in the order of its dataclass."""

    cls: type[Any]
    name: str
    hash: str  # 16 hexadecimal digits over the name and the annotated fields
    scalars: tuple[str, ...]
    scalar_types: tuple[type, ...]
    items: dict[str, type]  # tuple field -> type of its items
    arrays: tuple[str, ...]
    required: frozenset[str]  # arrays that may not be None
    array_sets: frozenset[tuple[str, ...]]  # every list of array names that may travel
    absent: dict[str, None]  # arrays that may be missing
    values: Callable[[Any], tuple[Any, ...]]  # message -> its scalars
    validates: bool  # whether it has a `__post_init__`


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*names) if len(names) > 1 else lambda message: tuple(getattr(message, n) for n in names)


def _build(cls: type[Any]) -> Schema:
    annotations = {f.name: str(f.type) for f in dataclasses.fields(cls)}
    unknown = {n: a for n, a in annotations.items() if a not in _SCALARS and a not in _ARRAYS}
    if unknown:
        msg = f"{cls.__name__}: fields that cannot travel: {unknown}; known: {[*_SCALARS, *_ARRAYS]}"
        raise MessageError(msg)
    text = ",".join(f"{n}:{a}" for n, a in annotations.items())
    arrays = tuple(n for n, a in annotations.items() if a in _ARRAYS)
    required = frozenset(n for n in arrays if annotations[n] == "Array")
    choices = product(*(((n,) if n in required else (n, None)) for n in arrays))
    scalars = tuple(n for n in annotations if n not in arrays)
    return Schema(
        cls=cls,
        name=cls.__name__,
        hash=hashlib.sha256(f"{cls.__name__}({text})".encode()).hexdigest()[:16],
        scalars=scalars,
        scalar_types=tuple(_SCALARS[annotations[n]] for n in scalars),
        items={n: _ITEMS[annotations[n]] for n in scalars if annotations[n] in _ITEMS},
        arrays=arrays,
        required=required,
        array_sets=frozenset(tuple(n for n in choice if n is not None) for choice in choices),
        absent={n: None for n in arrays if n not in required},
        values=_getter(scalars),
        validates=hasattr(cls, "__post_init__"),
    )


BY_NAME: dict[str, Schema] = {
    cls.__name__: _build(cls)
    for cls in vars(messages).values()
    if isinstance(cls, type) and dataclasses.is_dataclass(cls)
}
_HASHES = " ".join(schema.hash for schema in BY_NAME.values())
VOCABULARY = hashlib.sha256(_HASHES.encode()).hexdigest()[:16]  # differs as soon as one type does
BY_TYPE: dict[type[Any], Schema] = {schema.cls: schema for schema in BY_NAME.values()}


def schema_of(cls: type[Any]) -> Schema:
    """Return the schema of a message type.

    Raises:
        MessageError: if the type is not one of `broker.messages`.
    """
    try:
        return BY_TYPE[cls]
    except KeyError:
        msg = f"{cls.__name__} is no message type: expected one of broker.messages, {sorted(BY_NAME)}"
        raise MessageError(msg) from None
