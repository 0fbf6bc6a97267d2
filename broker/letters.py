"""Letters between a node and the broker: a small MessagePack head, then the frames of a message if any.

A head is `[operation, id, {field: value}]`. Operations of a node: `register`, `lease`, `latch`, `latched`,
`leave` (each answered by `done` or `refused` with the same id), `call` and `answer` (services). Operations
of the broker: `done`, `refused`, `serve` (to a server), `answer` (to a client), `probe` (ignored).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, NamedTuple

import msgpack

from broker.errors import FrameError, brief

MAX_HEAD = 1024 * 1024  # bytes
# What those who take a call, or its answer, rely on; the broker looks at all else where it uses it.
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "serve": {"service": (str,), "client": (bytes,)},
    "answer": {"error": (str, NoneType)},
}

PRIVATE = b"/_"  # topics on the wire that start so are the broker's own


def letter_topic(route: bytes) -> bytes:
    """Return the topic on which a node gets its letters."""
    return PRIVATE + b"letters/" + route + b"\0"


class Letter(NamedTuple):
    """One letter."""

    operation: str
    id: int
    body: dict[str, Any]
    frames: Sequence[bytes] = ()

    def packed(self) -> list[bytes]:
        """Return the letter as frames."""
        head: bytes = msgpack.packb((self.operation, self.id, self.body))
        return [head, *self.frames]


def unpack(frames: Sequence[bytes]) -> Letter:
    """Return the letter in the frames.

    Raises:
        FrameError: if the head is not that of a letter, or a call or an answer lacks a field.
    """
    try:
        if len(frames[0]) > MAX_HEAD:
            raise ValueError(len(frames[0]))  # noqa: TRY301 - one place says what is wrong
        operation, identity, body = msgpack.unpackb(frames[0], use_list=False)
    except (ValueError, TypeError, IndexError) as error:
        msg = f"letter of {len(frames)} frames: head is not [operation, id, fields]: {error}"
        raise FrameError(msg) from None
    if (type(operation), type(identity), type(body)) != (str, int, dict):
        msg = f"letter: head is ({brief(operation)}, {brief(identity)}, ...), expected (str, int, dict)"
        raise FrameError(msg)
    if not all(type(name) is str for name in body):
        msg = f"{brief(operation)} letter: fields are {brief([*body])}, expected names of type str"
        raise FrameError(msg)
    for name, kinds in _FIELDS.get(operation, {}).items():
        if name not in body or type(body[name]) not in kinds:
            expected = " or ".join(kind.__name__ for kind in kinds)
            got = brief(body[name]) if name in body else "missing"
            msg = f"{operation} letter: field {name!r} is {got}, expected {expected}"
            raise FrameError(msg)
    return Letter(operation, identity, body, frames[1:])
