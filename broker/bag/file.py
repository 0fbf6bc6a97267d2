"""One file of a bag as it is read.

It is open only while it is read: a folder may have more files than a process may open.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from mcap.records import Channel

from broker.bag import scan
from broker.bag.errors import BagError
from broker.bag.layout import CHAIN_TOPIC, ENCODING, JSON
from broker.bag.outline import read_outline
from broker.bag.recorded import Damage, Recorded
from broker.bag.scan import Place


class BagFile:
    """One file of a bag; `outline` is what it says of itself."""

    def __init__(self, path: Path) -> None:
        """Read what a file says of itself, and close it again.

        Raises:
            BagError: if it is no bag.
        """
        self.path = path
        self._file: BinaryIO | None = None
        self._lock = threading.RLock()  # so that nobody closes what another thread reads
        self._skipped: set[int] = set()  # offsets of damaged chunks
        with contextlib.closing(self):
            self.outline = read_outline(path, self.file)

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
        spans = [span for span in map(self.chunk_span, self.outline.chunks) if span[1]]
        return (spans[0][0], spans[-1][1]) if spans else (0, 0)

    def chunk_span(self, place: Place) -> tuple[int, int]:
        """Return the first and last receive stamp of a chunk, ns."""
        return self.outline.spans[place.offset]

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

    def recorded(self, message: scan.RawMessage) -> Recorded:
        """Return a message with what its channel says of it.

        Raises:
            BagError: if there is no such channel.
        """
        channel = self.outline.tables.channels.get(message.channel)
        if channel is None:
            msg = f"{self.path}: a message is of channel {message.channel}, which the file does not describe"
            raise BagError(msg)
        schema = self.outline.tables.schemas.get(channel.schema_id)
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
        places = [place for place in self.outline.chunks if self.chunk_span(place)[1] >= from_ns]
        for place, future in self._ahead(places):
            raw = self._unless_damaged(place, future.result, damage)
            for message in self.outline.messages_in(raw):
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
            for place in reversed(self.outline.chunks):
                wanted = self._latched_ids(found)
                held = self.outline.chunk_channels.get(place.offset, wanted)
                if self.chunk_span(place)[0] >= until_ns or not wanted & held:
                    continue
                newest: dict[str, Recorded] = {}
                raw = self._unless_damaged(place, partial(self.raw, place), damage)
                for message in self.outline.messages_in(raw):
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
        channels = self.outline.tables.channels.values()
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


def is_bag_topic(channel: Channel) -> bool:
    """Say whether a channel holds messages of the bus."""
    return channel.topic != CHAIN_TOPIC and channel.message_encoding in (ENCODING, JSON)
