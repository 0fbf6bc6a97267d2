"""Look at who sent a message and when, without touching its fields and arrays."""

from __future__ import annotations

import msgpack

from broker.codec import Header
from broker.errors import FrameError, brief
from broker.strict import ENVELOPE, MAX_HEADER, Frames

_PLACES = 7  # of the envelope: type, schema hash, sender, incarnation, seq, wall_ns, time_s


def peek(frames: Frames) -> Header:
    """Return the header of a message; the cost does not depend on the size of the message.

    Args:
        frames: as received.

    Raises:
        FrameError: if they do not begin with a topic and an envelope.
    """
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=MAX_HEADER)
        unpacker.feed(frames[1])
        length = unpacker.read_array_header()
        start = [unpacker.unpack() for _ in range(_PLACES)]
        topic = frames[0][:-1].decode()
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        msg = f"message of {len(frames)} frames: its header cannot be read: {error!r}"
        raise FrameError(msg) from None
    if length != len(ENVELOPE) or tuple(map(type, start)) != ENVELOPE[:_PLACES]:
        msg = f"topic {topic}: header begins with {brief(start)} of {length}, expected {ENVELOPE}"
        raise FrameError(msg)
    type_name, _, sender, incarnation, seq, wall_ns, time_s = start
    return Header(topic, type_name, sender, incarnation, seq, wall_ns, time_s)
