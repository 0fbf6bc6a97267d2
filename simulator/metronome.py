"""When the ticks of a real-time run are due."""

from __future__ import annotations

import time


class Metronome:
    """Ticks that are a period apart, which neither drift nor hurry after a long lag."""

    def __init__(self) -> None:
        self._began = 0.0  # when this tick began, in time.monotonic()

    def begin(self) -> None:
        """Let a tick begin now."""
        self._began = time.monotonic()

    def left_s(self, period_s: float) -> float:
        """Return how long it is until the next tick is due, in seconds; negative when it is late."""
        return self._began + period_s - time.monotonic()

    def next(self, period_s: float) -> None:
        """Let the next tick begin when it was due; or now, if that is more than a period ago."""
        due, now = self._began + period_s, time.monotonic()
        self._began = due if now < due + period_s else now
