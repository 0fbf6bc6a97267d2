"""Where a node's time goes: seconds by kind of work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stopwatch:
    """Adds up wall-clock seconds per kind of work.

    `lap(kind)` books the time since the last lap, so that a loop of laps covers all of the time.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, kind: str) -> None:
        """Book the time since the last lap (or the start) under `kind`."""
        now = time.perf_counter()
        self.seconds[kind] = self.seconds.get(kind, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def time(self, kind: str) -> Iterator[None]:
        """Book the time of a `with` block under `kind`; what came before it goes to "other"."""
        self.lap("other")
        try:
            yield
        finally:
            self.lap(kind)

    def write(self, path: Path, **facts: float) -> None:
        """Write the seconds and some facts (ticks, copies, ...) as JSON; makes the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"seconds": self.seconds, **facts}, indent=1) + "\n", encoding="utf-8")
