"""One file of a bag as it is read: by its index, or by a walk through its records if it has none.

It is open only while it is read: a folder may have more files than a process may open.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Header, Metadata, Schema, Statistics

from broker.bag import scan
from broker.bag.errors import BagError
from broker.bag.layout import CHAIN_TOPIC, ENCODING, JSON, PROFILE
from broker.bag.recorded import Damage, Recorded, Tables
from broker.bag.scan import Place


class BagFile:
    """One file of a bag.

    `index_fault` says why the index could not be used, and is empty if it could.
    """

    def __init__(self, path: Path) -> None:
        """Read what a file says of itself, and close it again.

        Raises:
            BagError: if it is no bag.
        """
        self.path = path
        self._file: BinaryIO | None = None
        self._lock = threading.RLock()  # so that nobody closes what another thread reads
        self.size = 0  # bytes
        self.tables = Tables()
        self.metadata: dict[str, dict[str, str]] = {}
        self.chunks: list[Place] = []
        self.broken: list[scan.Broken] = []
        self.index_fault = ""
        self.statistics: Statistics | None = None  # of the index
        self._skipped: set[int] = set()  # offsets of damaged chunks
        self._starts: dict[int, tuple[int, int]] = {}  # offset of a chunk -> first and last stamp, ns
        self._ids: dict[int, set[int]] = {}  # offset of a chunk -> its channels, by the index
        with contextlib.closing(self):
            self._read_tables()

    @property
    def file(self) -> BinaryIO:
        """Return the file, opened if it is not.

        Raises:
            BagError: if it cannot be read any more.
        """
        with self._lock:
            if self._file is None:
                self._file = scan.opened(self.path)
            return self._file

    def close(self) -> None:
        """Close the file until it is read again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    @property
    def skipped(self) -> int:
        """Return how many damaged chunks have been skipped since the file was opened."""
        return len(self._skipped)

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """Return the first and last receive stamp, (0, 0) if there is no message."""
        spans = [span for span in map(self.chunk_span, self.chunks) if span[1]]
        return (spans[0][0], spans[-1][1]) if spans else (0, 0)

    def chunk_span(self, place: Place) -> tuple[int, int]:
        """Return the first and last receive stamp of a chunk, ns."""
        return self._starts[place.offset]

    def raw(self, place: Place) -> bytes:
        """Return the records of a chunk; callable from any thread.

        Raises:
            BagError: if it is damaged, with its place.
        """
        with self._lock:
            content = scan.content(self.file, place)
        try:
            return scan.uncompressed(content)
        except BagError as error:
            msg = f"{self.path}: chunk at byte {place.offset}: {error}; look with `chorus bag verify`"
            raise BagError(msg) from None

    def messages_in(self, raw: bytes) -> Iterator[scan.RawMessage]:
        """Yield the messages of a chunk, and learn its channels on the way."""
        for record in scan.records_in(raw):
            match record:
                case scan.RawMessage():
                    yield record
                case Schema():
                    self.tables.schemas[record.id] = record
                case Channel():
                    self.tables.channels[record.id] = record

    def recorded(self, message: scan.RawMessage) -> Recorded:
        """Return a message with what its channel says of it.

        Raises:
            BagError: if there is no such channel.
        """
        channel = self.tables.channels.get(message.channel)
        if channel is None:
            msg = f"{self.path}: a message is of channel {message.channel}, which the file does not describe"
            raise BagError(msg)
        schema = self.tables.schemas.get(channel.schema_id)
        return Recorded(
            channel.topic,
            schema.name if schema else "",
            channel.metadata.get("schema_hash", ""),
            channel.metadata.get("latched") == "true",
            channel.message_encoding,
            message.seq,
            message.receive_ns,
            message.publish_ns,
            message.data,
        )

    def messages(self, from_ns: int = 0, damage: Damage = Damage.REFUSE) -> Iterator[Recorded]:
        """Yield the messages in the order in which they were taken in; links of the chain are left out.

        Args:
            from_ns: the first receive stamp.
            damage: what to do about a damaged chunk; what was skipped is counted in `skipped`.

        Raises:
            BagError: at a damaged chunk, if those are refused.
        """
        places = [place for place in self.chunks if self.chunk_span(place)[1] >= from_ns]
        for place, future in self._ahead(places):
            raw = self._unless_damaged(place, future.result, damage)
            for message in self.messages_in(raw):
                if message.receive_ns >= from_ns:
                    recorded = self.recorded(message)
                    if recorded.topic != CHAIN_TOPIC:
                        yield recorded

    def latched_before(
        self, until_ns: int, found: dict[str, Recorded], damage: Damage = Damage.REFUSE
    ) -> None:
        """Add the last latched message before a receive stamp, of every topic that has none in `found`.

        Args:
            until_ns: the receive stamp.
            found: messages by topic.
            damage: what to do about a damaged chunk; an older value then stands for the one that was in it.

        Raises:
            BagError: at a damaged chunk, if those are refused.
        """
        with contextlib.closing(self):
            for place in reversed(self.chunks):
                wanted = self._latched_ids(found)
                if self.chunk_span(place)[0] >= until_ns or not wanted & self._ids.get(place.offset, wanted):
                    continue
                newest: dict[str, Recorded] = {}
                raw = self._unless_damaged(place, partial(self.raw, place), damage)
                for message in self.messages_in(raw):
                    if message.channel in wanted and message.receive_ns < until_ns:
                        newest[self.recorded(message).topic] = self.recorded(message)
                found |= newest

    def _unless_damaged(self, place: Place, read: Callable[[], bytes], damage: Damage) -> bytes:
        """Return the records of a chunk; of a damaged one none, and count it, unless those are refused."""
        try:
            return read()
        except BagError:
            if damage is Damage.REFUSE:
                raise
            self._skipped.add(place.offset)
            return b""

    def _latched_ids(self, found: dict[str, Recorded]) -> set[int]:
        channels = self.tables.channels.values()
        return {c.id for c in channels if c.metadata.get("latched") == "true" and c.topic not in found}

    def _ahead(self, places: list[Place]) -> Iterator[tuple[Place, Future[bytes]]]:
        """Yield chunks, the next one being decompressed meanwhile; close the file when that has ended."""
        with contextlib.closing(self), ThreadPoolExecutor(1, thread_name_prefix="bag") as pool:
            waiting: deque[tuple[Place, Future[bytes]]] = deque()
            for place in places:
                waiting.append((place, pool.submit(self.raw, place)))
                if len(waiting) > 1:
                    yield waiting.popleft()
            yield from waiting

    def _read_tables(self) -> None:
        self.size = os.fstat(self.file.fileno()).st_size
        self._check_profile()
        try:
            self._read_index()
        except (McapError, BagError, ValueError, KeyError) as error:
            self.index_fault = str(error) or type(error).__name__
            self._walk()

    def _check_profile(self) -> None:
        first = next(scan.walk(self.file, self.size))
        if isinstance(first, Place) and first.opcode == Opcode.HEADER:
            header = scan.parsed(scan.content(self.file, first), Header)
            assert isinstance(header, Header)
            if header.profile != PROFILE:
                msg = (
                    f"{self.path}: is an MCAP file of profile {header.profile!r} (written by "
                    f"{header.library!r}), not a bag of gridchorus, whose profile is {PROFILE!r}"
                )
                raise BagError(msg)
            return
        msg = f"{self.path}: is not a bag: an MCAP file without a header; it may have been cut at its start"
        raise BagError(msg)

    def _read_index(self) -> None:
        """Take chunks, channels and metadata from the summary.

        Raises:
            BagError: if there is none, or it does not fit the file.
        """
        scan.check_summary(self.file, self.size)
        self.file.seek(0)
        summary = SeekingReader(self.file).get_summary()
        if summary is None or summary.statistics is None:
            msg = "the file has no index"
            raise BagError(msg)
        self.tables = Tables(dict(summary.schemas), dict(summary.channels))
        for index in summary.metadata_indexes:
            self._take_metadata(Place(Opcode.METADATA, index.offset, index.length - 9))
        for chunk in summary.chunk_indexes:
            self.chunks.append(Place(Opcode.CHUNK, chunk.chunk_start_offset, chunk.chunk_length - 9))
            self.file.seek(chunk.chunk_start_offset)
            head = self.file.read(9)
            if head[:1] != bytes([Opcode.CHUNK]) or head[1:] != (chunk.chunk_length - 9).to_bytes(
                8, "little"
            ):
                msg = f"the index names a chunk at byte {chunk.chunk_start_offset}, but there is none"
                raise BagError(msg)
            self._ids[chunk.chunk_start_offset] = set(chunk.message_index_offsets)
            self._starts[chunk.chunk_start_offset] = (chunk.message_start_time, chunk.message_end_time)
        self.statistics = summary.statistics

    def _take_metadata(self, place: Place) -> None:
        record = scan.parsed(scan.content(self.file, place), Metadata)
        assert isinstance(record, Metadata)
        self.metadata[record.name] = record.metadata

    def _walk(self) -> None:
        """Take chunks, channels and metadata from the records themselves."""
        self.tables, self.metadata, self.chunks = Tables(), {}, []
        self._starts, self._ids = {}, {}
        for place in scan.walk(self.file, self.size):
            if isinstance(place, scan.Broken):
                self.broken.append(place)
            elif place.opcode == Opcode.CHUNK:
                self.chunks.append(place)
            elif place.opcode == Opcode.METADATA:
                self._take_metadata(place)
        for place in self.chunks:
            self.file.seek(place.offset + 9)
            start, end = self.file.read(8), self.file.read(8)
            self._starts[place.offset] = (int.from_bytes(start, "little"), int.from_bytes(end, "little"))
            with contextlib.suppress(BagError):  # a later reader says which
                deque(self.messages_in(self.raw(place)), maxlen=0)


def is_bag_topic(channel: Channel) -> bool:
    """Say whether a channel holds messages of the bus."""
    return channel.topic != CHAIN_TOPIC and channel.message_encoding in (ENCODING, JSON)
