"""Writes one MCAP file: chunks that are whole on disk at every flush, and an index at the end.

It is not the library's writer because a file on a full disk must be cut back to its last whole chunk and
still get its index.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from mcap.opcode import Opcode
from mcap.records import Channel, Header, Metadata, MetadataIndex, Schema

from broker.bag import chain, records
from broker.bag.growing import GrowingFile
from broker.bag.layout import CHAIN_TOPIC, ENCODING, FORMAT, JSON, JSON_SCHEMA, PROFILE, json_schema
from broker.bag.records import MESSAGE, MESSAGE_FIXED, Written, as_bytes

CHUNK_BYTES = 1024 * 1024  # uncompressed; a chunk is closed when it is larger
LIBRARY = "gridchorus"
_ZSTD_LEVEL = 1


@dataclass(frozen=True)
class _Topic:
    topic: str
    type: str
    schema: str  # hash
    encoding: str


@dataclass
class _Open:
    """The chunk that is being filled."""

    records: bytearray = field(default_factory=bytearray)
    start_ns: int = 0
    end_ns: int = 0
    places: dict[int, list[int]] = field(default_factory=dict)  # channel -> time, offset, time, offset ..


class BagWriter:
    """One file of a bag. Any OSError leaves the file cut back to its last whole chunk."""

    def __init__(
        self, path: Path, metadata: Mapping[str, Mapping[str, str]] | None = None, previous: str = chain.START
    ) -> None:
        """Create the file and write what is known at the start.

        Args:
            path: of the file; must not exist.
            metadata: named groups of facts, such as the configuration of the run.
            previous: head of the chain of the file before this one.

        Raises:
            OSError: if the file cannot be made; then there is none.
        """
        self.path = path
        self.messages = 0  # without the links of the chain
        self.lost: Mapping[str, int] = {}  # set by the recorder, written with each link
        self._previous = previous
        self._file = GrowingFile(path)
        self._schemas: dict[tuple[str, str], Schema] = {}
        self._channels: dict[_Topic, Channel] = {}
        self._metadata: list[MetadataIndex] = []
        self._written: list[Written] = []
        self._open = _Open()
        self._compress = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress
        try:
            self._begin(metadata or {})
        except BaseException:
            self._file.discard()  # without a header it would spoil the folder that it is in
            raise

    @property
    def size(self) -> int:
        """Return the bytes on disk."""
        return self._file.size

    @property
    def fault(self) -> OSError | None:
        """Return the last that the disk has refused."""
        return self._file.fault

    @property
    def head(self) -> str:
        """Return the head of the hash chain."""
        return self._written[-1].head if self._written else self._previous

    @property
    def pending(self) -> int:
        """Return the bytes that wait for the next flush."""
        return len(self._open.records)

    def channel(
        self, topic: str, type_name: str, schema_hash: str, *, latched: bool = False, encoding: str = ENCODING
    ) -> int:
        """Return the number of a topic's channel, made at its first use."""
        key = _Topic(topic, type_name, schema_hash, encoding)
        known = self._channels.get(key)
        if known is not None:
            return int(known.id)
        facts = {"latched": str(latched).lower(), "schema_hash": schema_hash}
        schema = self._schema(type_name, schema_hash, json_schema(type_name, schema_hash))
        return int(self._new_channel(key, schema, facts).id)

    def write(self, channel: int, data: bytes, seq: int, receive_ns: int, publish_ns: int) -> None:
        """Add a message.

        Args:
            channel: from `channel`.
            data: as `layout.packed` returns it.
            seq: of its sender; the low 32 bits are kept here, all of it is in the data.
            receive_ns: when it was taken in, ns since 1970; not before that of the last message.
            publish_ns: when it was published, by its sender's clock.

        Raises:
            OSError: if a full chunk cannot be written.
        """
        self._add(channel, data, seq & 0xFFFFFFFF, receive_ns, publish_ns)
        self.messages += 1
        if len(self._open.records) >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Close the chunk and hand it to the operating system; nothing happens to an empty one.

        Raises:
            OSError: if it cannot be written; the chunk is given up.
        """
        chunk = self._open
        if not chunk.places:
            return
        sealed = self._seal(chunk)
        self._open = _Open()
        raw = bytes(chunk.records)
        span = (chunk.start_ns, chunk.end_ns)
        blob, index = records.indexed_chunk(self.size, raw, self._compress(raw), span, chunk.places)
        crc_before = self._file.crc
        try:
            self._file.append(blob)
        except OSError:
            self.messages = self._counted()
            raise
        counts = {channel: len(places) // 2 for channel, places in chunk.places.items()}
        self._written.append(Written(index, counts, sealed, crc_before))

    def close(self, facts: Mapping[str, str] | None = None) -> int:
        """Write what is left and the index; on a full disk, give up last chunks until the index fits.

        What the disk has refused is in `fault`. Closing again does nothing.

        Args:
            facts: written as metadata `closed`; its `why` becomes `full` if the disk has refused anything.

        Returns:
            How many messages had to be given up now.
        """
        if self._file.closed:
            return 0
        before = self.messages
        with contextlib.suppress(OSError):  # cut back already; the index may still fit
            self.flush()
        with contextlib.suppress(OSError):  # not even cutting back works; `fault` keeps the reason
            while not self._ended(facts or {}) and self._written:
                given_up = self._written.pop()
                self._file.cut(given_up.index.chunk_start_offset, given_up.crc_before)
        self._file.close()
        self.messages = self._counted()
        return before - self.messages

    def finish(self, facts: Mapping[str, str] | None = None) -> None:
        """Close as `close` does, and say if that is not all of it.

        Raises:
            OSError: if not all that was written is on disk; the file is closed all the same.
        """
        self.close(facts)
        if self.fault is not None:
            raise self.fault

    def _begin(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        self._file.append(records.MAGIC + as_bytes(Header(PROFILE, LIBRARY)))
        stamps = "both of the wall clock, ns since 1970"
        facts = {"format": FORMAT, "stamps": stamps, "previous": self._previous}
        for name, values in {"bag": facts, **metadata}.items():
            self._add_metadata(name, values)

    def _seal(self, chunk: _Open) -> str:
        """Add the link of the chain to a chunk; returns the new head."""
        key = _Topic(CHAIN_TOPIC, chain.SCHEMA_NAME, "", JSON)
        if key not in self._channels:
            self._new_channel(key, self._schema(chain.SCHEMA_NAME, "", chain.SCHEMA), {})
        head = chain.seal(self.head, chunk.records)
        link = chain.Link(len(self._written), self.messages, self.head, head, dict(self.lost))
        stamp = chunk.end_ns
        self._add(self._channels[key].id, link.packed(), link.chunk, stamp, stamp)
        return head

    def _schema(self, name: str, schema_hash: str, data: bytes) -> Schema:
        known = self._schemas.get((name, schema_hash))
        if known is None:
            known = Schema(id=len(self._schemas) + 1, data=data, encoding=JSON_SCHEMA, name=name)
            self._schemas[name, schema_hash] = known
            self._open.records += as_bytes(known)
        return known

    def _new_channel(self, key: _Topic, schema: Schema, facts: dict[str, str]) -> Channel:
        channel = Channel(
            id=len(self._channels) + 1,
            topic=key.topic,
            message_encoding=key.encoding,
            metadata=facts,
            schema_id=schema.id,
        )
        self._channels[key] = channel
        self._open.records += as_bytes(channel)
        return channel

    def _add(self, channel: int, data: bytes, seq: int, receive_ns: int, publish_ns: int) -> None:
        chunk = self._open
        written = chunk.records
        places = chunk.places.get(channel)
        if places is None:
            if not chunk.places:
                chunk.start_ns = receive_ns
            places = chunk.places[channel] = []
        chunk.end_ns = receive_ns
        places += (receive_ns, len(written))
        written += MESSAGE.pack(
            Opcode.MESSAGE, MESSAGE_FIXED + len(data), channel, seq, receive_ns, publish_ns
        )
        written += data

    def _add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        record = as_bytes(Metadata(name=name, metadata=dict(values)))
        self._metadata.append(MetadataIndex(offset=self.size, length=len(record), name=name))
        self._file.append(record)

    def _ended(self, facts: Mapping[str, str]) -> bool:
        """Write the index; False if it does not fit."""
        try:
            self._file.append(self._ending(facts))
        except OSError:
            return False
        return True

    def _ending(self, facts: Mapping[str, str]) -> bytes:
        why = {"why": "full"} if self.fault is not None else {}
        closed = as_bytes(Metadata(name="closed", metadata={"head": self.head, **facts, **why}))
        metadata = [*self._metadata, MetadataIndex(offset=self.size, length=len(closed), name="closed")]
        schemas, channels = list(self._schemas.values()), list(self._channels.values())
        at, crc = self.size + len(closed), zlib.crc32(closed, self._file.crc)
        return closed + records.ending(at, crc, schemas, channels, self._written, metadata)

    def _counted(self) -> int:
        """Return how many messages are on disk, links of the chain left out."""
        return sum(sum(written.counts.values()) - 1 for written in self._written)
