"""How messages lie in a bag: their exact wire bytes, and what MCAP tools are told about them.

The data of a message is `n, size_1 .. size_n` (unsigned 32-bit little-endian) and then the n wire frames, one
after the other. The first is `topic NUL header`, as docs/wire.md describes it; the others are arrays.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgpack

from broker.bag.errors import BagError
from broker.schema import BY_NAME, Schema
from broker.strict import ENVELOPE, MAX_HEADER

PROFILE = "gridchorus"
ENCODING = "gridchorus"  # of messages as they travelled
JSON = "json"  # of messages as JSON objects
JSON_SCHEMA = "jsonschema"
CHAIN_TOPIC = "/bag/chain"  # the last message of every chunk, see `chain`
FORMAT = "1"

_SCALARS: dict[type, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
}


class Origin(NamedTuple):
    """What the header of a message says of where it comes from."""

    type: str
    schema: str  # hash
    sender: str
    incarnation: int
    seq: int
    wall_ns: int
    time_s: float


def is_message(frames: Sequence[bytes]) -> bool:
    """Say whether frames begin as those of a message do: a topic with a NUL at its end, and a header."""
    return len(frames) >= 2 and frames[0].partition(b"\0")[1:] == (b"\0", b"")


def packed(frames: Sequence[bytes]) -> bytes:
    """Return the data of a message.

    Args:
        frames: `[topic NUL, header, array, ...]` as nodes hand them over; `is_message` holds.
    """
    first = len(frames[0]) + len(frames[1])
    rest = frames[2:]
    sizes = struct.pack(f"<{len(rest) + 2}I", len(rest) + 1, first, *map(len, rest))
    return b"".join((sizes, *frames))


def unpacked(data: bytes) -> list[bytes]:
    """Return the frames in the data of a message, the inverse of `packed`.

    Raises:
        BagError: if the sizes do not add up, or no topic comes first.
    """
    try:
        (count,) = struct.unpack_from("<I", data)
        sizes = struct.unpack_from(f"<{count}I", data, 4)
    except struct.error:
        sizes = ()
    at = 4 + 4 * len(sizes)
    if not sizes or at + sum(sizes) != len(data):
        msg = f"message of {len(data)} bytes: its frames do not fill it; it is not of this format"
        raise BagError(msg)
    split = data.find(b"\0", at, at + sizes[0]) + 1
    if not split:
        msg = f"message of {len(data)} bytes: there is no topic at its beginning; it is no message of the bus"
        raise BagError(msg)
    frames = [data[at:split], data[split : at + sizes[0]]]
    at += sizes[0]
    for size in sizes[1:]:
        frames.append(data[at : at + size])
        at += size
    return frames


def origin_of(header: bytes) -> Origin | None:
    """Return what a header says, or None if it is none."""
    if len(header) > MAX_HEADER:  # nobody takes it, and unpacking costs what it says
        return None
    try:
        envelope = msgpack.unpackb(header, use_list=False)
    except (ValueError, TypeError, RecursionError):
        return None
    if type(envelope) is not tuple or tuple(map(type, envelope)) != ENVELOPE:
        return None
    return Origin(*envelope[:7])


@lru_cache(maxsize=256)
def json_schema(type_name: str, schema_hash: str) -> bytes:
    """Return the JSON schema of a message type; an unknown type is any object."""
    schema = BY_NAME.get(type_name)
    known = schema is not None and schema.hash == schema_hash
    properties = _properties(schema) if schema is not None and known else {}
    text = {
        "title": type_name,
        "type": "object",
        "$comment": f"schema hash {schema_hash}",
        "properties": properties,
    }
    return json.dumps(text).encode()


def _properties(schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in zip(schema.scalars, schema.scalar_types, strict=True):
        if kind is tuple:
            found[name] = {"type": "array", "items": _SCALARS[schema.items[name]]}
        else:
            found[name] = dict(_SCALARS[kind])
    for name in schema.arrays:
        found[name] = {"type": "array", "description": "dtype and shape as in the header"}
    return found
