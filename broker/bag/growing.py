"""A file that grows by whole pieces: what the disk has no room for is cut off again."""

from __future__ import annotations

import zlib
from pathlib import Path


class GrowingFile:
    """A file that is being written, its size and checksum so far, and what the disk has refused.

    Args:
        path: of the file; must not exist.

    Raises:
        OSError: if it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes
        self.crc = 0  # CRC-32
        self.fault: OSError | None = None  # the last that the disk has refused
        self._file = path.open("xb", buffering=0)

    @property
    def closed(self) -> bool:
        """Say whether it is closed."""
        return self._file.closed

    def append(self, blob: bytes) -> None:
        """Write all of it, or nothing.

        Raises:
            OSError: if there is no room; `fault` keeps it.
        """
        try:
            view = memoryview(blob)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.fault = error
            self.cut(self.size, self.crc)
            raise
        self.size += len(blob)
        self.crc = zlib.crc32(blob, self.crc)

    def cut(self, size: int, crc: int) -> None:
        """Cut it back to what it was.

        Raises:
            OSError: if not even that works.
        """
        self._file.truncate(size)
        self._file.seek(size)
        self.size, self.crc = size, crc

    def close(self) -> None:
        """Close it; a refusal at the last moment, as of a network disk, is in `fault`."""
        try:
            self._file.close()
        except OSError as error:
            self.fault = error

    def discard(self) -> None:
        """Close and remove it."""
        self.close()
        self.path.unlink(missing_ok=True)
