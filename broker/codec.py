"""Messages to frames and back: `[topic NUL][header][array][array]...`.

The header is a MessagePack array of `type, schema hash, sender, incarnation, seq, wall_ns, time_s,
{scalar: value}, [[array, dtype, shape, bytes or nil], ...]`. Arrays of more than 4 KiB follow as raw frames
(nil in the header); smaller ones ride in the header, because each further frame costs more than copying
them. All arrive as read-only views. Text that is too long for a header travels as an array of dtype
`utf8`. Nothing that a peer sends can do more here than raise a `FrameError`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import msgpack
import numpy as np

from broker.errors import FrameError, MessageError
from broker.messages import Array
from broker.schema import BY_NAME, Schema, schema_of
from broker.topics import to_wire

MAX_HEADER = 64 * 1024  # bytes
MAX_FRAME = 64 * 1024 * 1024  # bytes
_INLINE = 4 * 1024  # bytes; larger arrays are frames of their own
_LONG_TEXT = 1024  # characters; longer strings leave a header that is too long
_TEXT = "utf8"
_DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<i4", "<i8", "|b1", "|u1")}
_PACKER = msgpack.Packer(autoreset=True)
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_Described = tuple[str, str, tuple[int, ...], bytes | None]
_ENVELOPE = (str, str, str, int, int, int, float, dict, tuple)

Frames = Sequence[bytes]
Message = TypeVar("Message")


class Header(NamedTuple):
    """Where a message comes from."""

    topic: str
    type: str
    sender: str
    incarnation: int  # differs between two lives of a node of the same name
    seq: int  # counts from 0 per sender, incarnation and topic
    wall_ns: int  # sender's clock, ns since 1970
    time_s: float  # simulation time


class Received(NamedTuple, Generic[Message]):
    """A message and where it comes from."""

    message: Message
    header: Header


def encode(
    topic: str,
    message: Any,
    *,
    sender: str,
    incarnation: int = 0,
    seq: int = 0,
    time_s: float = 0.0,
) -> list[bytes]:
    """Return the frames of a message.

    Args:
        topic: topic or service name.
        message: one of `broker.messages`; its arrays must be of a whitelisted dtype.
        sender: name of the node.
        incarnation: which life of the node.
        seq: sequence number of this sender on this topic.
        time_s: simulation time, s.

    Raises:
        MessageError: if a field is not of its declared type, or something is too large.
    """
    schema = schema_of(type(message))
    fields = vars(message)
    scalars = {name: fields[name] for name in schema.scalars}
    if tuple(map(type, scalars.values())) != schema.scalar_types or schema.items:
        scalars = _coerced(schema, scalars)
    described: list[_Described] = []
    frames = [to_wire(topic), b""]
    for name in schema.arrays:
        array = fields[name]
        if array is not None or name in schema.required:
            if type(array) is not np.ndarray or (dtype := _NAMES.get(array.dtype)) is None:
                raise _not_an_array(schema, name, array)
            raw = array.tobytes()
            if len(raw) <= _INLINE:
                described.append((name, dtype, array.shape, raw))
            else:
                described.append((name, dtype, array.shape, None))
                frames.append(raw)
    start = (schema.name, schema.hash, sender, incarnation, seq, time.time_ns(), float(time_s))
    header = _packed(schema, start, scalars, described)
    if len(header) > MAX_HEADER:
        header = _packed(schema, start, _without_long_text(scalars, described, frames), described)
    frames[1] = header
    if len(header) > MAX_HEADER or len(frames) > 2:
        _check_sizes(topic, schema, frames)
    return frames


def decode(frames: Frames, expected: type[Any] | None = None) -> Received[Any]:
    """Return the message in the frames.

    Args:
        frames: as received.
        expected: the only message type that is welcome, if given.

    Returns:
        The message, its arrays read-only views of the frames, and its header.

    Raises:
        FrameError: if the frames are not exactly one valid message.
    """
    topic, envelope = _envelope(frames)
    type_name, schema_hash, sender, incarnation, seq, wall_ns, time_s, scalars, described = envelope
    where = (topic, sender)
    schema = _schema(where, type_name, schema_hash, expected)
    names, arrays = _arrays(where, schema, described, frames)
    if tuple(scalars) != schema.scalars or names not in schema.array_sets:
        scalars = _with_long_text(where, schema, scalars, arrays)
        _check_names(where, schema, scalars, names, arrays)
    if tuple(map(type, scalars.values())) != schema.scalar_types or schema.items:
        _check_scalars(where, schema, scalars)
    message = _made(where, schema, scalars, arrays)
    return Received(message, Header(topic, type_name, sender, incarnation, seq, wall_ns, time_s))


def refuse_type(topic: str, got: type[Any], expected: type[Any]) -> NoReturn:
    """Refuse to send a message of a wrong type.

    Raises:
        MessageError: always.
    """
    msg = f"{topic}: got a {got.__name__}, expected a {expected.__name__}"
    raise MessageError(msg)


def _packed(schema: Schema, start: tuple[Any, ...], scalars: dict[str, Any], arrays: list[Any]) -> bytes:
    try:
        header: bytes = _PACKER.pack((*start, scalars, arrays))
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{schema.name}: cannot be packed: {error}; got {scalars}"
        raise MessageError(msg) from error
    return header


def _coerced(schema: Schema, scalars: dict[str, Any]) -> dict[str, Any]:
    """Numpy scalars and whole floats become what the schema says; anything else is refused."""
    for (name, value), kind in zip(scalars.items(), schema.scalar_types, strict=True):
        plain = value.item() if isinstance(value, np.generic) else value
        if kind is float and type(plain) is int:
            plain = float(plain)
        if kind is tuple and isinstance(plain, list | tuple):
            plain = tuple(plain)
            wrong = next((item for item in plain if type(item) is not schema.items[name]), None)
            if wrong is not None:
                msg = (
                    f"{schema.name}.{name}: got {wrong!r} in it, expected {schema.items[name].__name__} only"
                )
                raise MessageError(msg)
        if type(plain) is not kind:
            msg = f"{schema.name}.{name}: got {value!r}, expected {kind.__name__}"
            raise MessageError(msg)
        scalars[name] = plain
    return scalars


def _not_an_array(schema: Schema, name: str, got: Any) -> MessageError:
    kind = got.dtype.str if isinstance(got, np.ndarray) else type(got).__name__
    return MessageError(f"{schema.name}.{name}: got {kind}, expected a numpy array of {', '.join(_DTYPES)}")


def _without_long_text(
    scalars: dict[str, Any], described: list[_Described], frames: list[bytes]
) -> dict[str, Any]:
    short = dict(scalars)
    for name, value in scalars.items():
        if type(value) is str and len(value) > _LONG_TEXT:
            frame = value.encode()
            described.append((name, _TEXT, (len(frame),), None))
            frames.append(frame)
            del short[name]
    return short


def _check_sizes(topic: str, schema: Schema, frames: list[bytes]) -> None:
    if len(frames[1]) > MAX_HEADER or max(map(len, frames)) > MAX_FRAME:
        msg = (
            f"{topic}: {schema.name} has a header of {len(frames[1])} and frames of up to "
            f"{max(map(len, frames))} bytes; at most {MAX_HEADER} and {MAX_FRAME} may travel: send less"
        )
        raise MessageError(msg)


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
    if kinds != _ENVELOPE:
        raise _refusal(where, "header", str(kinds), str(tuple(k.__name__ for k in _ENVELOPE)))
    return topic, envelope


def _schema(where: tuple[str, str], name: str, schema_hash: str, expected: type[Any] | None) -> Schema:
    schema = BY_NAME.get(name)
    if schema is None:
        raise _refusal(where, "type", repr(name), f"one of {sorted(BY_NAME)}")
    if expected is not None and schema.cls is not expected:
        raise _refusal(where, "type", name, expected.__name__)
    if schema.hash != schema_hash:
        remedy = f"{schema.hash} (both ends must run the same version of gridchorus)"
        raise _refusal(where, f"schema of {name}", repr(schema_hash), remedy)
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
            if raw is None:
                raw = frames[following]
                following += 1
            value = _view(dtype, shape, raw) if dtype != _TEXT else _text(shape, raw)
        except (TypeError, ValueError, LookupError, OverflowError):
            got = f"{len(raw)} bytes" if type(raw) is bytes else "no bytes"
            expected = f"[name, dtype in {[*_DTYPES]}, shape, bytes or nil], as many bytes, bools 0 or 1"
            raise _refusal(where, f"{schema.name} array {_brief(entry)}", got, expected) from None
        arrays[name] = value
    if len(arrays) != len(described) or following != len(frames):
        got = f"{len(described)} arrays, {len(frames) - 2} frames after the header"
        raise _refusal(
            where, f"arrays of {schema.name}", got, f"{len(arrays)} arrays, {following - 2} frames"
        )
    return tuple(arrays), arrays


def _view(dtype: str, shape: tuple[int, ...], raw: bytes) -> Array:
    array: Array = np.ndarray(shape, _DTYPES[dtype], raw)
    if array.nbytes != len(raw) or type(shape) is not tuple or type(raw) is not bytes or len(raw) > MAX_FRAME:
        raise ValueError(shape)
    if dtype == "|b1" and raw.strip(b"\0\1"):
        raise ValueError(dtype)
    return array


def _text(shape: tuple[int, ...], raw: bytes) -> str:
    if shape != (len(raw),) or len(raw) > MAX_FRAME:
        raise ValueError(shape)
    return raw.decode()


def _brief(entry: Any) -> str:
    return repr(entry[:3] if type(entry) is tuple else entry)[:120]


def _made(where: tuple[str, str], schema: Schema, scalars: dict[str, Any], arrays: dict[str, Any]) -> Any:
    """Return the message; its fields are all here, so the dataclass's slower `__init__` has no part in it."""
    message = object.__new__(schema.cls)
    fields = vars(message)
    fields.update(schema.absent)
    fields.update(scalars)
    fields.update(arrays)
    if schema.validates:
        try:
            message.__post_init__()
        except MessageError as error:
            raise _refusal(where, "message", str(error), "fields that agree") from error
    return message


def _with_long_text(
    where: tuple[str, str], schema: Schema, scalars: dict[str, Any], arrays: dict[str, Any]
) -> dict[str, Any]:
    texts = {name: arrays.pop(name) for name in list(arrays) if type(arrays[name]) is str}
    twice = texts.keys() & scalars.keys()
    if twice:
        raise _refusal(where, schema.name, f"{sorted(twice)} twice", "each field once")
    merged = scalars | texts
    return {name: merged[name] for name in (*(n for n in schema.scalars if n in merged), *merged)}


def _check_names(
    where: tuple[str, str],
    schema: Schema,
    scalars: dict[str, Any],
    names: tuple[str, ...],
    arrays: dict[str, Any],
) -> None:
    sent = {*scalars, *arrays}
    missing = {*schema.scalars, *schema.required} - sent
    extra = {name for name in sent if name not in schema.scalars and name not in schema.arrays}
    misplaced = (scalars.keys() & set(schema.arrays)) | (arrays.keys() & set(schema.scalars))
    wrong_order = tuple(n for n in names if n in arrays) not in schema.array_sets
    if missing or extra or misplaced or wrong_order:
        got = f"missing {sorted(missing)}, unknown {sorted(extra)}, misplaced {sorted(misplaced)}, of {names}"
        raise _refusal(where, f"fields of {schema.name}", got, f"{schema.scalars + schema.arrays}")


def _check_scalars(where: tuple[str, str], schema: Schema, scalars: dict[str, Any]) -> None:
    for name, kind in zip(schema.scalars, schema.scalar_types, strict=True):
        value = scalars[name]
        if type(value) is not kind:
            raise _refusal(where, f"{schema.name}.{name}", f"{value!r:.60}", kind.__name__)
        if name in schema.items and any(type(item) is not schema.items[name] for item in scalars[name]):
            expected = f"a tuple of {schema.items[name].__name__}"
            raise _refusal(where, f"{schema.name}.{name}", f"{value!r:.60}", expected)


def _refusal(where: tuple[str, str], field: str, got: str, expected: str) -> FrameError:
    topic, sender = where
    error = FrameError(f"topic {topic} from {sender}: {field}: got {got}, expected {expected}")
    error.sender = sender
    return error
