"""Messages to frames and back: `[topic NUL][header][array][array]...`.

The header is a MessagePack array of `type, schema hash, sender, incarnation, seq, wall_ns, time_s,
{scalar: value}, [[array, dtype, shape, bytes or nil], ...]`. Arrays of more than 4 KiB follow as raw frames
(nil in the header); smaller ones ride in the header, because each further frame costs more than copying
them. All arrive as read-only views. Text that is too long for a header travels as an array of dtype
`utf8`.
"""

from __future__ import annotations

import time
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import msgpack
import numpy as np

from broker import strict
from broker.errors import MessageError
from broker.messages import Array
from broker.schema import BY_NAME, BY_TYPE, Schema, schema_of
from broker.strict import DTYPES, ENVELOPE, MAX_FRAME, MAX_HEADER, TEXT, Frames
from broker.topics import to_wire

_INLINE = 4 * 1024  # bytes; larger arrays are frames of their own
_LONG_TEXT = 1024  # characters; longer strings leave a header that is too long
_new: Any = tuple.__new__
_PACKER = msgpack.Packer(autoreset=True)
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_Described = tuple[str, str, tuple[int, ...], bytes | None]

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
    schema = BY_TYPE.get(type(message)) or schema_of(type(message))
    values = schema.values(message)
    scalars = dict(zip(schema.scalars, values, strict=True))
    if tuple(map(type, values)) != schema.scalar_types or schema.items:
        scalars = _coerced(schema, scalars)
    fields = vars(message)
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
    try:
        header = frames[1] if len(frames[1]) <= MAX_HEADER else b""  # unpacking would cost what it says
        envelope = msgpack.unpackb(header, use_list=False)
        type_name, schema_hash, sender, incarnation, seq, wall_ns, time_s, scalars, described = envelope
        schema = BY_NAME[type_name]
        plain = (
            schema.hash == schema_hash
            and (expected is None or schema.cls is expected)
            and tuple(map(type, envelope)) == ENVELOPE
            and frames[0][-1:] == b"\0"
            and tuple(scalars) == schema.scalars
            and tuple(map(type, scalars.values())) == schema.scalar_types
            and not schema.items
        )
        message = _filled(schema, scalars, described, frames) if plain else None
        topic = frames[0][:-1].decode()
    except (MessageError, TypeError, ValueError, LookupError, OverflowError, RecursionError):
        message = None
    if message is None:
        message, topic, envelope = strict.decode(frames, expected)
        type_name, _, sender, incarnation, seq, wall_ns, time_s, *_ = envelope
    # As Received(message, Header(...)), without the functions that NamedTuple puts before it.
    about = _new(Header, (topic, type_name, sender, incarnation, seq, wall_ns, time_s))
    received: Received[Any] = _new(Received, (message, about))
    return received


def _filled(schema: Schema, scalars: dict[str, Any], described: tuple[Any, ...], frames: Frames) -> Any:
    """Return the message, or None if it needs a closer look.

    All its fields are at hand, so the slower `__init__` of a frozen dataclass has no part in it.
    """
    message = object.__new__(schema.cls)
    fields = message.__dict__
    fields.update(schema.absent)
    fields.update(scalars)
    following = 2  # the next frame that belongs to an array
    names = []
    for name, dtype, shape, raw in described:
        if raw is None:
            raw = frames[following]  # the bytes of this array, wherever they are
            following += 1
        array: Array = np.ndarray(shape, DTYPES[dtype], raw)
        if (
            array.nbytes != len(raw)
            or len(raw) > MAX_FRAME
            or array.shape != shape  # -1 stands for any length in numpy
            or (dtype == "|b1" and raw.strip(b"\0\1"))
        ):
            return None
        fields[name] = array
        names.append(name)
    if tuple(names) not in schema.array_sets or following != len(frames):
        return None
    if schema.validates:
        message.__post_init__()
    return message


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
    return MessageError(f"{schema.name}.{name}: got {kind}, expected a numpy array of {', '.join(DTYPES)}")


def _without_long_text(
    scalars: dict[str, Any], described: list[_Described], frames: list[bytes]
) -> dict[str, Any]:
    short = dict(scalars)
    for name, value in scalars.items():
        if type(value) is str and len(value) > _LONG_TEXT:
            frame = value.encode()
            described.append((name, TEXT, (len(frame),), None))
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
