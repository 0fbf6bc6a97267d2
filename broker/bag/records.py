"""MCAP records as bytes: those that the library serializes, and those that are packed here for their number.

Format: https://mcap.dev/spec
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

MAGIC = MCAP0_MAGIC
MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
MESSAGE_FIXED = MESSAGE.size - 9  # bytes of the length that are not data


@dataclass(frozen=True)
class Written:
    """A chunk on disk."""

    index: ChunkIndex
    counts: Mapping[int, int]  # channel -> messages
    head: str  # of the hash chain after it
    crc_before: int  # CRC-32 of the file up to it


def as_bytes(record: McapRecord) -> bytes:
    """Return a record as it lies in the file."""
    builder = RecordBuilder()
    record.write(builder)
    blob: bytes = builder.end()
    return blob


def chunk(raw: bytes, compressed: bytes, start_ns: int, end_ns: int) -> bytes:
    """Return the record of a chunk."""
    return as_bytes(
        Chunk(
            compression="zstd",
            data=compressed,
            message_end_time=end_ns,
            message_start_time=start_ns,
            uncompressed_crc=zlib.crc32(raw),
            uncompressed_size=len(raw),
        )
    )


def indexed_chunk(
    at: int, raw: bytes, compressed: bytes, span_ns: tuple[int, int], places: Mapping[int, Sequence[int]]
) -> tuple[bytes, ChunkIndex]:
    """Return the records of a chunk and of its message indexes, and what the file's index says of them.

    Args:
        at: where they begin in the file.
        raw: records of the chunk.
        compressed: likewise.
        span_ns: first and last log time.
        places: channel -> log time, offset, log time, offset ...
    """
    record = chunk(raw, compressed, *span_ns)
    offsets, blobs, end = {}, [record], at + len(record)
    for channel, of_channel in places.items():
        blobs.append(message_index(channel, of_channel))
        offsets[channel] = end
        end += len(blobs[-1])
    index = ChunkIndex(
        chunk_length=len(record),
        chunk_start_offset=at,
        compression="zstd",
        compressed_size=len(compressed),
        message_end_time=span_ns[1],
        message_index_length=end - at - len(record),
        message_index_offsets=offsets,
        message_start_time=span_ns[0],
        uncompressed_size=len(raw),
    )
    return b"".join(blobs), index


def message_index(channel: int, places: Sequence[int]) -> bytes:
    """Return the record of a channel's messages in a chunk.

    Args:
        channel: its number.
        places: log time, offset, log time, offset ...
    """
    size = 8 * len(places)
    return struct.pack(f"<BQHI{len(places)}Q", Opcode.MESSAGE_INDEX, 6 + size, channel, size, *places)


def ending(
    at: int,
    crc: int,
    schemas: Sequence[Schema],
    channels: Sequence[Channel],
    chunks: Sequence[Written],
    metadata: Sequence[MetadataIndex],
) -> bytes:
    """Return all that follows the last record of data: end of data, summary, footer.

    Args:
        at: where it begins in the file.
        crc: CRC-32 of the file up to there.
        schemas: all of the file.
        channels: all of the file.
        chunks: all of the file.
        metadata: where the file's metadata are.
    """
    data_end = as_bytes(DataEnd(crc))
    start = at + len(data_end)
    groups: list[tuple[Opcode, Sequence[McapRecord]]] = [
        (Opcode.SCHEMA, schemas),
        (Opcode.CHANNEL, channels),
        (Opcode.STATISTICS, [_statistics(schemas, channels, chunks, metadata)]),
        (Opcode.CHUNK_INDEX, [written.index for written in chunks]),
        (Opcode.METADATA_INDEX, metadata),
    ]
    summary, offsets = bytearray(), bytearray()
    for opcode, records in groups:
        group = b"".join(map(as_bytes, records))
        if group:
            offsets += as_bytes(SummaryOffset(opcode, start + len(summary), len(group)))
        summary += group
    where = start + len(summary)
    footing = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, where)
    summary_crc = zlib.crc32(footing, zlib.crc32(summary + offsets))
    return bytes(data_end + summary + offsets + as_bytes(Footer(start, where, summary_crc)) + MAGIC)


def _statistics(
    schemas: Sequence[Schema],
    channels: Sequence[Channel],
    chunks: Sequence[Written],
    metadata: Sequence[MetadataIndex],
) -> Statistics:
    counts: Counter[int] = Counter()
    for written in chunks:
        counts.update(written.counts)
    return Statistics(
        attachment_count=0,
        channel_count=len(channels),
        channel_message_counts=dict(counts),
        chunk_count=len(chunks),
        message_count=sum(counts.values()),
        message_end_time=chunks[-1].index.message_end_time if chunks else 0,
        message_start_time=chunks[0].index.message_start_time if chunks else 0,
        metadata_count=len(metadata),
        schema_count=len(schemas),
    )
