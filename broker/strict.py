"""Frames to messages, carefully: every check in turn, and an error that says what is wrong.

`codec.decode` takes the short way for messages as this version writes them, and comes here with all others.
Nothing that a peer sends can do more here than raise a `FrameError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np

from broker.errors import FrameError, MessageError, brief
from broker.messages import Array
from broker.schema import BY_NAME, Schema

MAX_HEADER = 64 * 1024  # bytes
MAX_FRAME = 64 * 1024 * 1024  # bytes
DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<i4", "<i8", "|b1", "|u1")}
ENVELOPE = (str, str, str, int, int, int, float, dict, tuple)
TEXT = "utf8"  # the dtype of a text that is too long for a header
_SHOWN = 200  # characters of a topic or sender in an error; names that can be used have no more

Frames = Sequence[bytes]


def decode(frames: Frames, expected: type[Any] | None) -> tuple[Any, str, tuple[Any, ...]]:
    """Return the message in the frames, its topic and the fields of its header.

    Args:
        frames: as received.
        expected: the only message type that is welcome, if given.

    Raises:
        FrameError: if the frames are not exactly one valid message.
    """
    topic, envelope = _envelope(frames)
    type_name, schema_hash, sender, *_, scalars, described = envelope
    where = (topic, sender)
    schema = _schema(where, type_name, schema_hash, expected)
    names, arrays = _arrays(where, schema, described, frames)
    scalars = _with_long_text(where, schema, scalars, arrays)
    _check_names(where, schema, scalars, names, arrays)
    _check_scalars(where, schema, scalars)
    try:
        return schema.cls(**scalars, **arrays), topic, envelope
    except MessageError as error:
        raise _refusal(where, "message", str(error), "fields that agree") from error


def _envelope(frames: Frames) -> tuple[str, tuple[Any, ...]]:
    topic = "unreadable topic"
    if frames and frames[0][-1:] == b"\0":
        topic = frames[0][:-1].decode("utf-8", "replace")
    where = (topic, FrameError.sender)
    if len(frames) < 2:
        raise _refusal(where, "frames", str(len(frames)), "a topic and a header at least")
    if frames[0][-1:] != b"\0":
        raise _refusal(where, "topic", repr(frames[0][:40]), "a NUL at its end")
    if len(frames[1]) > MAX_HEADER:
        raise _refusal(where, "header", f"{len(frames[1])} bytes", f"at most {MAX_HEADER}")
    try:
        envelope = msgpack.unpackb(frames[1], use_list=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise _refusal(where, "header", f"{frames[1][:20]!r} ({error})", "MessagePack") from None
    kinds = tuple(map(type, envelope)) if type(envelope) is tuple else type(envelope).__name__
    if kinds != ENVELOPE:
        raise _refusal(where, "header", brief(kinds), str(tuple(k.__name__ for k in ENVELOPE)))
    return topic, envelope


def _schema(where: tuple[str, str], name: str, schema_hash: str, expected: type[Any] | None) -> Schema:
    schema = BY_NAME.get(name)
    if schema is None:
        raise _refusal(where, "type", brief(name), f"one of {sorted(BY_NAME)}")
    if expected is not None and schema.cls is not expected:
        raise _refusal(where, "type", name, expected.__name__)
    if schema.hash != schema_hash:
        remedy = f"{schema.hash} (both ends must run the same version of gridchorus)"
        raise _refusal(where, f"schema of {name}", brief(schema_hash), remedy)
    return schema


def _arrays(
    where: tuple[str, str], schema: Schema, described: tuple[Any, ...], frames: Frames
) -> tuple[tuple[str, ...], dict[str, Any]]:
    arrays: dict[str, Any] = {}
    following = 2  # the next frame that belongs to an array
    for entry in described:
        raw: Any = None
        try:
            name, dtype, shape, raw = entry
            if type(name) is not str:
                raise TypeError(name)  # noqa: TRY301 - one place says what is wrong
            if raw is None:
                raw = frames[following]
                following += 1
            value = _view(dtype, shape, raw) if dtype != TEXT else _text(shape, raw)
        except (TypeError, ValueError, LookupError, OverflowError):
            got = f"{len(raw)} bytes" if type(raw) is bytes else "no bytes"
            expected = f"[name, dtype in {[*DTYPES]}, shape, bytes or nil], as many bytes, bools 0 or 1"
            shown = brief(entry[:3] if type(entry) is tuple else entry)
            raise _refusal(where, f"{schema.name} array {shown}", got, expected) from None
        arrays[name] = value
    if len(arrays) != len(described) or following != len(frames):
        got = f"{len(described)} arrays, {len(frames) - 2} frames after the header"
        raise _refusal(
            where, f"arrays of {schema.name}", got, f"{len(arrays)} arrays, {following - 2} frames"
        )
    return tuple(arrays), arrays


def _view(dtype: str, shape: tuple[int, ...], raw: bytes) -> Array:
    array: Array = np.ndarray(shape, DTYPES[dtype], raw)
    if array.nbytes != len(raw) or array.shape != shape or type(raw) is not bytes or len(raw) > MAX_FRAME:
        raise ValueError(shape)
    if dtype == "|b1" and raw.strip(b"\0\1"):
        raise ValueError(dtype)
    return array


def _text(shape: tuple[int, ...], raw: bytes) -> str:
    if type(raw) is not bytes or shape != (len(raw),) or len(raw) > MAX_FRAME:
        raise ValueError(shape)
    return raw.decode()


def _with_long_text(
    where: tuple[str, str], schema: Schema, scalars: dict[str, Any], arrays: dict[str, Any]
) -> dict[str, Any]:
    texts = {name: arrays.pop(name) for name in list(arrays) if type(arrays[name]) is str}
    twice = texts.keys() & scalars.keys()
    if twice:
        raise _refusal(where, schema.name, f"{brief(sorted(twice))} twice", "each field once")
    merged = scalars | texts
    return {name: merged[name] for name in (*(n for n in schema.scalars if n in merged), *merged)}


def _check_names(
    where: tuple[str, str],
    schema: Schema,
    scalars: dict[str, Any],
    names: tuple[str, ...],
    arrays: dict[str, Any],
) -> None:
    nameless = [name for name in scalars if type(name) is not str]
    if nameless:
        raise _refusal(where, f"fields of {schema.name}", f"names {brief(nameless)}", "names of type str")
    sent = {*scalars, *arrays}
    missing = {*schema.scalars, *schema.required} - sent
    extra = {name for name in sent if name not in schema.scalars and name not in schema.arrays}
    misplaced = (scalars.keys() & set(schema.arrays)) | (arrays.keys() & set(schema.scalars))
    wrong_order = tuple(n for n in names if n in arrays) not in schema.array_sets
    if missing or extra or misplaced or wrong_order:
        wrong = {"missing": missing, "unknown": extra, "misplaced": misplaced}
        got = ", ".join(f"{what} {brief(sorted(which))}" for what, which in wrong.items())
        got = f"{got}, of {brief(names)}"
        raise _refusal(where, f"fields of {schema.name}", got, f"{schema.scalars + schema.arrays}")


def _check_scalars(where: tuple[str, str], schema: Schema, scalars: dict[str, Any]) -> None:
    for name, kind in zip(schema.scalars, schema.scalar_types, strict=True):
        value = scalars[name]
        if type(value) is not kind:
            raise _refusal(where, f"{schema.name}.{name}", brief(value), kind.__name__)
        if name in schema.items and any(type(item) is not schema.items[name] for item in scalars[name]):
            expected = f"a tuple of {schema.items[name].__name__}"
            raise _refusal(where, f"{schema.name}.{name}", brief(value), expected)


def _refusal(where: tuple[str, str], field: str, got: str, expected: str) -> FrameError:
    topic, sender = (name[:_SHOWN] for name in where)
    error = FrameError(f"topic {topic} from {sender}: {field}: got {got}, expected {expected}")
    error.sender = sender
    return error
