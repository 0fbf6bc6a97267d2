"""Walks through the records of an MCAP file by their own lengths, and says where that ends or fails.

It needs no index, so it reads what a killed recorder left, and finds the next chunk after damage.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Footer, Header, Metadata, Schema

from broker.bag.errors import BagError
from broker.bag.records import MAGIC, MESSAGE, MESSAGE_FIXED

_HEAD = struct.Struct("<BQ")  # opcode, length
_KNOWN = frozenset(int(opcode) for opcode in Opcode)
_ZSTD_MARK = struct.pack("<I", 4) + b"zstd"  # in a chunk, after opcode, length, times, size and CRC
_MARK_AT = 9 + 8 + 8 + 8 + 4
_FOOTER_BYTES = 9 + 20 + len(MAGIC)  # of the footer and what follows it


@dataclass(frozen=True)
class Place:
    """Where a record is in the file."""

    opcode: int
    offset: int  # of its first byte
    length: int  # of its content, which follows 9 bytes after the offset


@dataclass(frozen=True)
class Broken:
    """Where the walk could not go on."""

    offset: int
    text: str
    resumed: int | None  # offset of the next chunk that was found, None: the end


class RawMessage:
    """A message as it lies in a chunk."""

    __slots__ = ("channel", "data", "offset", "publish_ns", "receive_ns", "seq")

    def __init__(
        self, channel: int, seq: int, receive_ns: int, publish_ns: int, data: bytes, offset: int
    ) -> None:
        """Keep the fields; `offset` is that of the record in the uncompressed chunk."""
        self.channel = channel
        self.seq = seq
        self.receive_ns = receive_ns
        self.publish_ns = publish_ns
        self.data = data
        self.offset = offset


@dataclass(frozen=True)
class Contents:
    """What a chunk holds."""

    raw: bytes
    schemas: list[Schema]
    channels: list[Channel]
    messages: list[RawMessage]


def opened(path: Path) -> BinaryIO:
    """Open a file and check that it begins as MCAP does.

    Raises:
        BagError: if it cannot be read, or is none.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise BagError(msg) from None
    start = file.read(len(MAGIC))
    if start != MAGIC:
        file.close()
        what = "is empty" if not start else f"begins with {start!r}, expected {MAGIC!r}"
        msg = f"{path}: is not a bag: the file {what}; bags are MCAP files made by `chorus bag record`"
        raise BagError(msg)
    return file


def walk(file: BinaryIO, size: int) -> Iterator[Place | Broken]:
    """Yield the place of each record up to the footer.

    Args:
        file: open, at any position.
        size: of the file, bytes.
    """
    at = len(MAGIC)
    while at < size:
        file.seek(at)
        head = file.read(_HEAD.size)
        fault = "ends within a record" if len(head) < _HEAD.size else ""
        if not fault:
            opcode, length = _HEAD.unpack(head)
            if opcode not in _KNOWN:
                fault = f"has no record there (it would be of kind {opcode:#04x})"
            elif at + _HEAD.size + length > size:
                fault = f"ends within a record of {length} bytes"
        if fault:
            found = _next_chunk(file, at + 1, size)
            yield Broken(at, fault, found)
            if found is None:
                return
            at = found
            continue
        yield Place(opcode, at, length)
        at += _HEAD.size + length
        if opcode == Opcode.FOOTER:
            return
    yield Broken(size, "ends without a footer", None)


def _next_chunk(file: BinaryIO, at: int, size: int) -> int | None:
    """Return the offset of the next thing that looks like a whole chunk."""
    file.seek(at)
    rest = file.read()
    found = rest.find(_ZSTD_MARK)
    while found >= 0:
        start = found - _MARK_AT
        if start >= 0 and rest[start] == Opcode.CHUNK:
            _, length = _HEAD.unpack_from(rest, start)
            if at + start + _HEAD.size + length <= size:
                return at + start
        found = rest.find(_ZSTD_MARK, found + 1)
    return None


def content(file: BinaryIO, place: Place) -> bytes:
    """Return the content of a record."""
    return os.pread(file.fileno(), place.length, place.offset + _HEAD.size)


def parsed(blob: bytes, kind: type[Header | Metadata | Footer | Chunk]) -> Header | Metadata | Footer | Chunk:
    """Return a record from its content.

    Raises:
        BagError: if it is none of that kind.
    """
    try:
        return kind.read(ReadDataStream(BytesIO(blob)))
    except (McapError, ValueError, struct.error) as error:
        msg = f"{kind.__name__} record cannot be read: {error or type(error).__name__}"
        raise BagError(msg) from None


def check_summary(file: BinaryIO, size: int) -> None:
    """Check the index at the end of a file, which the library does not.

    Raises:
        BagError: if it is not there, or its checksum is wrong.
    """
    file.seek(max(0, size - _FOOTER_BYTES))
    tail = file.read()
    if len(tail) < _FOOTER_BYTES or tail[0] != Opcode.FOOTER or tail[-len(MAGIC) :] != MAGIC:
        msg = "the file does not end with a footer"
        raise BagError(msg)
    start, _, expected = struct.unpack_from("<QQI", tail, _HEAD.size)
    if not 0 < start < size:
        msg = f"the footer says that the index is at byte {start} of {size}"
        raise BagError(msg)
    file.seek(start)
    crc = zlib.crc32(file.read(size - start - 4 - len(MAGIC)))
    if crc != expected:
        msg = f"its checksum is {crc:08x}, expected {expected:08x}"
        raise BagError(msg)


def uncompressed(blob: bytes) -> bytes:
    """Return the records of a chunk, its checksum tested.

    Args:
        blob: content of the chunk's record.

    Raises:
        BagError: if it does not decompress, or its checksum is wrong.
    """
    chunk = parsed(blob, Chunk)
    assert isinstance(chunk, Chunk)
    try:
        raw: bytes = chunk.data
        if chunk.compression:
            raw = zstandard.ZstdDecompressor().decompress(chunk.data, chunk.uncompressed_size)
    except zstandard.ZstdError as error:
        msg = f"does not decompress: {error}"
        raise BagError(msg) from None
    if zlib.crc32(raw) != chunk.uncompressed_crc:
        msg = f"checksum is {zlib.crc32(raw):08x}, expected {chunk.uncompressed_crc:08x}"
        raise BagError(msg)
    return raw


def taken_apart(raw: bytes) -> Contents:
    """Return the records of an uncompressed chunk.

    Raises:
        BagError: if a record does not fit.
    """
    found = Contents(raw, [], [], [])
    for record in records_in(raw):
        match record:
            case RawMessage():
                found.messages.append(record)
            case Schema():
                found.schemas.append(record)
            case Channel():
                found.channels.append(record)
    return found


def records_in(raw: bytes) -> Iterator[RawMessage | Schema | Channel]:
    """Yield the records of an uncompressed chunk.

    Raises:
        BagError: at a record that does not fit.
    """
    at, end = 0, len(raw)
    try:
        while at < end:
            opcode, length = _HEAD.unpack_from(raw, at)
            after = at + _HEAD.size + length
            if opcode == Opcode.MESSAGE:
                _, _, channel, seq, receive_ns, publish_ns = MESSAGE.unpack_from(raw, at)
                data = raw[at + _HEAD.size + MESSAGE_FIXED : after]
                yield RawMessage(channel, seq, receive_ns, publish_ns, data, at)
            elif opcode == Opcode.SCHEMA:
                yield Schema.read(ReadDataStream(BytesIO(raw[at + _HEAD.size : after])))
            elif opcode == Opcode.CHANNEL:
                yield Channel.read(ReadDataStream(BytesIO(raw[at + _HEAD.size : after])))
            at = after
    except (struct.error, McapError, ValueError) as error:
        msg = f"record at byte {at} of the uncompressed chunk cannot be read: {error}"
        raise BagError(msg) from None
