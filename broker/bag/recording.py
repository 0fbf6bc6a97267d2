"""The files of a recording: each follows the one before it, and what the disk refuses is said.

A full disk shows at a write, at the last flush, or when the next file is to begin. Here each of them is an
OSError, raised after the file has been closed with all that is in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from broker.bag.errors import BagError
from broker.bag.layout import Origin
from broker.bag.ledger import Ledger
from broker.bag.settings import RecorderSettings
from broker.bag.succession import head_before, next_path
from broker.bag.writer import BagWriter


class Taken(NamedTuple):
    """A message that waits to be written."""

    stamp_ns: int
    topic: str
    origin: Origin
    data: bytes


class _File:
    """A file of the bag with the numbers of its channels."""

    def __init__(self, writer: BagWriter, is_latched: Callable[[str], bool]) -> None:
        self.writer = writer
        self._is_latched = is_latched
        self._channels: dict[tuple[str, str, str], int] = {}

    def write(self, taken: Taken) -> None:
        origin = taken.origin
        key = (taken.topic, origin.type, origin.schema)
        channel = self._channels.get(key)
        if channel is None:
            latched = self._is_latched(taken.topic)
            channel = self._channels[key] = self.writer.channel(*key, latched=latched)
        published_ns = max(origin.wall_ns, 0)  # what a foreign sender says may be anything
        self.writer.write(channel, taken.data, origin.seq, taken.stamp_ns, published_ns)


class Recording:
    """The files of a recording.

    Args:
        settings: where they are, and when a new one begins.
        ledger: what is missing; written with every chunk.
        is_latched: says of a topic whether its last message is kept for those who join later.
    """

    def __init__(self, settings: RecorderSettings, ledger: Ledger, is_latched: Callable[[str], bool]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._is_latched = is_latched
        self._folder = Path(settings.folder)
        self._head: str | None = None  # of the chain; None: not looked for yet
        self._file: _File | None = None
        self._closed = 0  # messages in files that are closed
        self._begun = self._flushed = 0.0

    @property
    def messages(self) -> int:
        """Return how many messages are in all files."""
        return self._closed + (self._file.writer.messages if self._file else 0)

    @property
    def flush_due(self) -> bool:
        """Say whether it is time for the next flush."""
        return self._file is not None and time.monotonic() - self._flushed >= self._settings.flush_s

    def find_head(self) -> None:
        """Look where the chain of the folder ends; a file that was cut off takes a while to walk through.

        Raises:
            BagError: if the folder cannot be read.
        """
        try:
            self._head = head_before(self._folder, self._settings.name)
        except OSError as error:
            raise self._refusal(error) from error

    def open(self) -> None:
        """Begin the first file.

        Raises:
            BagError: if it cannot be made.
        """
        try:
            self._file = self._begin()
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, taken: Taken) -> None:
        """Add a message.

        Raises:
            OSError: if a chunk that is full cannot be written.
        """
        assert self._file is not None
        self._file.write(taken)

    def flush(self) -> str:
        """Hand what waits to the operating system; returns the name of the file.

        Raises:
            OSError: if it cannot be written.
        """
        assert self._file is not None
        self._file.writer.flush()
        self._flushed = time.monotonic()
        return self._file.writer.path.name

    def split(self) -> None:
        """Begin a new file if the open one is large or long enough.

        Raises:
            OSError: if the one cannot be closed whole, or the other not be made.
        """
        assert self._file is not None
        size, duration_s = self._settings.max_size, self._settings.max_duration_s
        full = size is not None and self._file.writer.size >= size
        if full or (duration_s is not None and self._flushed - self._begun >= duration_s):
            self.close("split")
            self._file = self._begin()

    def close(self, why: str) -> None:
        """Close the open file, if there is one.

        Raises:
            OSError: if not all of it is on disk.
        """
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.writer.finish(self._facts(why))
        finally:
            self._head = file.writer.head
            self._closed += file.writer.messages

    def snapshot(self, messages: Iterable[Taken]) -> str:
        """Write a file of its own, all of it or nothing; returns its name.

        Raises:
            OSError: if it cannot be written.
        """
        file = self._begin()
        try:
            for taken in messages:
                file.write(taken)
            file.writer.finish(self._facts("snapshot"))
        except BaseException:
            file.writer.close()
            file.writer.path.unlink(missing_ok=True)
            raise
        self._head = file.writer.head
        self._closed += file.writer.messages
        return file.writer.path.name

    def _begin(self) -> _File:
        settings = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._head is None:
            self._head = head_before(self._folder, settings.name)
        writer = BagWriter(next_path(self._folder, settings.name), settings.metadata, self._head)
        writer.lost = self._ledger.lost
        self._begun = self._flushed = time.monotonic()
        return _File(writer, self._is_latched)

    def _facts(self, why: str) -> dict[str, str]:
        ledger = self._ledger
        return {
            "why": why,
            "lost": json.dumps(ledger.lost),
            "repeated": str(ledger.repeated),
            "refused": str(ledger.refused),
        }

    def _refusal(self, error: OSError) -> BagError:
        text = error.strerror or str(error)
        return BagError(f"bag in {self._folder}: cannot be written: {text}; choose another folder")
