"""When each message of a bag is due: bag time against the monotonic clock, with rate and pause."""

from __future__ import annotations

import time

from broker.bag.recorded import Recorded

_SKEW_NS = 1_000_000_000  # a sender whose clock is out by more is played by its receive stamps


class Due:
    """The bag time of messages: when each was published, never before that of the message before it.

    A sender's clock that is out, or a latched value that was recorded long after it was published, is played
    at its receive stamp.
    """

    def __init__(self, start_ns: int) -> None:
        """Start at a receive stamp."""
        self._last_ns = start_ns

    def of(self, message: Recorded) -> int:
        """Return the bag time of the next message, ns."""
        age = message.receive_ns - message.publish_ns
        stamp = message.publish_ns if 0 <= age <= _SKEW_NS else message.receive_ns
        self._last_ns = max(self._last_ns, stamp)
        return self._last_ns


class Pace:
    """How bag time goes on."""

    def __init__(self, rate: float | None, *, paused: bool) -> None:
        """Start at bag time 0.

        Args:
            rate: bag seconds per second; None: everything is due at once.
            paused: whether it stands still.
        """
        self.rate = rate
        self.paused = paused
        self._bag_ns = 0  # bag time at `_since`
        self._since = time.perf_counter()

    def go_to(self, bag_ns: int) -> None:
        """Set bag time."""
        self._bag_ns, self._since = bag_ns, time.perf_counter()

    @property
    def now_ns(self) -> int:
        """Return bag time; for no rate, the last one that was set."""
        if self.paused or self.rate is None:
            return self._bag_ns
        return self._bag_ns + int((time.perf_counter() - self._since) * self.rate * 1e9)

    def left_s(self, due_ns: int) -> float:
        """Return the seconds until a bag time; infinite in a pause."""
        if self.paused:
            return float("inf")
        if self.rate is None:
            return 0.0
        return (due_ns - self._bag_ns) / 1e9 / self.rate - (time.perf_counter() - self._since)

    def set_rate(self, rate: float | None) -> None:
        """Change the rate from now on."""
        self.go_to(self.now_ns)
        self.rate = rate

    def pause(self) -> None:
        """Let bag time stand still."""
        self.go_to(self.now_ns)
        self.paused = True

    def resume(self) -> None:
        """Let bag time go on, if it stands still."""
        if self.paused:
            self.paused = False
            self.go_to(self._bag_ns)
