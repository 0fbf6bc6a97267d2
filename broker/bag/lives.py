"""Lives of senders: what is played again comes as of another life of who sent it.

A subscriber takes each message of one life of a sender once, by its sequence number. Which life it is, is one
number in the header, the incarnation; all other bytes stay as they were.
"""

from __future__ import annotations

import time

import msgpack

from broker.strict import MAX_HEADER


class Lives:
    """New lives for recorded senders: another for each that they had, and none that anybody has seen."""

    def __init__(self) -> None:
        """Begin; lives are numbered from the time on, as nodes number theirs."""
        self._first = time.time_ns()
        self._new: dict[tuple[str, int], int] = {}  # sender and its recorded life -> new one

    def renewed(self, header: bytes) -> bytes:
        """Return a header as of its sender's new life; one that cannot be read stays as it is."""
        found = _life_in(header)
        if found is None:
            return header
        sender, then, place = found
        now = self._new.setdefault((sender, then), self._first + len(self._new))
        return _replaced(header, place, now)


def with_incarnation(header: bytes, incarnation: int) -> bytes:
    """Return a header as of some life of its sender; one that cannot be read stays as it is."""
    found = _life_in(header)
    return header if found is None else _replaced(header, found[2], incarnation)


def _life_in(header: bytes) -> tuple[str, int, slice] | None:
    """Return the sender that a header names, which life of it, and where that is said."""
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_HEADER)
    try:
        unpacker.feed(header)
        unpacker.read_array_header()
        unpacker.skip()  # type
        unpacker.skip()  # schema hash
        sender = unpacker.unpack()
        start = unpacker.tell()
        incarnation = unpacker.unpack()
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    if type(sender) is not str or type(incarnation) is not int:
        return None
    return sender, incarnation, slice(start, unpacker.tell())


def _replaced(header: bytes, place: slice, incarnation: int) -> bytes:
    number: bytes = msgpack.packb(incarnation)
    return header[: place.start] + number + header[place.stop :]
