"""What a bag's file says of itself: by its index, or by a walk through its records if it has none."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Header, Metadata, Schema, Statistics

from broker.bag import scan
from broker.bag.errors import BagError
from broker.bag.layout import PROFILE
from broker.bag.recorded import Tables
from broker.bag.scan import Place


@dataclass
class Outline:
    """What a file says of itself."""

    size: int  # bytes
    tables: Tables = field(default_factory=Tables)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)  # by name
    chunks: list[Place] = field(default_factory=list)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)  # of chunks, by offset: stamps, ns
    chunk_channels: dict[int, set[int]] = field(
        default_factory=dict
    )  # of chunks, by offset; if there is an index
    statistics: Statistics | None = None  # of the index
    broken: list[scan.Broken] = field(default_factory=list)  # where the walk could not go on
    index_fault: str = ""  # why the index could not be used, empty if it could

    def messages_in(self, raw: bytes) -> Iterator[scan.RawMessage]:
        """Yield the messages of a chunk's records, and learn its channels on the way."""
        for record in scan.records_in(raw):
            match record:
                case scan.RawMessage():
                    yield record
                case Schema():
                    self.tables.schemas[record.id] = record
                case Channel():
                    self.tables.channels[record.id] = record


def read_outline(path: Path, file: BinaryIO) -> Outline:
    """Read what a file says of itself.

    Raises:
        BagError: it is no bag of gridchorus.
    """
    size = os.fstat(file.fileno()).st_size
    _check_profile(path, file, size)
    try:
        return _indexed(file, size)
    except (McapError, BagError, ValueError, KeyError) as error:
        return _walked(file, size, str(error) or type(error).__name__)


def _check_profile(path: Path, file: BinaryIO, size: int) -> None:
    first = next(scan.walk(file, size))
    if isinstance(first, Place) and first.opcode == Opcode.HEADER:
        header = scan.parsed(scan.content(file, first), Header)
        assert isinstance(header, Header)
        if header.profile != PROFILE:
            msg = (
                f"{path}: is an MCAP file of profile {header.profile!r} (written by "
                f"{header.library!r}), not a bag of gridchorus, whose profile is {PROFILE!r}"
            )
            raise BagError(msg)
        return
    msg = f"{path}: is not a bag: an MCAP file without a header; it may have been cut at its start"
    raise BagError(msg)


def _indexed(file: BinaryIO, size: int) -> Outline:
    """Take chunks, channels and metadata from the summary.

    Raises:
        BagError: there is none, or it does not fit the file.
    """
    scan.check_summary(file, size)
    file.seek(0)
    summary = SeekingReader(file).get_summary()
    if summary is None or summary.statistics is None:
        msg = "the file has no index"
        raise BagError(msg)
    tables = Tables(dict(summary.schemas), dict(summary.channels))
    outline = Outline(size, tables, statistics=summary.statistics)
    for index in summary.metadata_indexes:
        _take_metadata(outline, file, Place(Opcode.METADATA, index.offset, index.length - 9))
    for chunk in summary.chunk_indexes:
        place = Place(Opcode.CHUNK, chunk.chunk_start_offset, chunk.chunk_length - 9)
        if not _lies_there(file, place):
            msg = f"the index names a chunk at byte {place.offset}, but there is none"
            raise BagError(msg)
        outline.chunks.append(place)
        outline.chunk_channels[place.offset] = set(chunk.message_index_offsets)
        outline.spans[place.offset] = (chunk.message_start_time, chunk.message_end_time)
    return outline


def _lies_there(file: BinaryIO, place: Place) -> bool:
    file.seek(place.offset)
    head = file.read(9)
    return head == bytes([place.opcode]) + place.length.to_bytes(8, "little")


def _walked(file: BinaryIO, size: int, index_fault: str) -> Outline:
    """Take chunks, channels and metadata from the records themselves."""
    outline = Outline(size, index_fault=index_fault)
    for place in scan.walk(file, size):
        if isinstance(place, scan.Broken):
            outline.broken.append(place)
        elif place.opcode == Opcode.CHUNK:
            outline.chunks.append(place)
        elif place.opcode == Opcode.METADATA:
            _take_metadata(outline, file, place)
    for place in outline.chunks:
        file.seek(place.offset + 9)
        start, end = file.read(8), file.read(8)
        outline.spans[place.offset] = (int.from_bytes(start, "little"), int.from_bytes(end, "little"))
        with contextlib.suppress(BagError):  # a later reader says which
            raw = scan.uncompressed(scan.content(file, place))
            deque(outline.messages_in(raw), maxlen=0)
    return outline


def _take_metadata(outline: Outline, file: BinaryIO, place: Place) -> None:
    record = scan.parsed(scan.content(file, place), Metadata)
    assert isinstance(record, Metadata)
    outline.metadata[record.name] = record.metadata
