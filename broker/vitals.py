"""What a node's process costs, and how its clock stands to the broker's: facts beside each heartbeat.

The clock is compared as in NTP (RFC 5905, section 8): the broker's stamp lies between the node's two, so half
the round trip bounds the error, whatever the way there and back take.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from pathlib import Path

from broker.endpoints import Counters

_STATM = Path("/proc/self/statm")  # size, resident, ... in pages, proc(5)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KEPT = 30  # exchanges with the broker, one a second


class Vitals:
    """Measures this process."""

    def __init__(self, counters: Counters) -> None:
        """Start without an exchange; `counters` are the node's."""
        self._counters = counters
        self._exchanges: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # error, offset, s
        self._rss_bytes = 0.0

    def heard(self, sent_ns: int, broker_ns: object, received_ns: int) -> None:
        """Take note of one exchange.

        Args:
            sent_ns: this clock when the request left, ns since 1970.
            broker_ns: the broker's clock when it answered; without one nothing is noted.
            received_ns: this clock when the answer was here.
        """
        if isinstance(broker_ns, int):
            middle_ns = (sent_ns + received_ns) // 2
            self._exchanges.append(((received_ns - sent_ns) / 2e9, (middle_ns - broker_ns) / 1e9))

    def report(self) -> dict[str, float]:
        """Return the measurements of now.

        Returns:
            stamp_s (a clock that only goes forward), cpu_s (used so far), rss_bytes, lag_s (how old a message
            was when it was taken in, the worst since the last report), tick, unsent and overrun (as in
            `Counters`); after the first exchange clock_offset_s (this clock minus the broker's) and
            clock_error_s, its bound.
        """
        counters = self._counters
        lag_ns, counters.lag_ns = counters.lag_ns, 0
        with contextlib.suppress(OSError):  # a process without a free descriptor: as much as it was
            self._rss_bytes = float(int(_STATM.read_text().split()[1]) * _PAGE)
        found = {
            "stamp_s": time.monotonic(),
            "cpu_s": time.process_time(),
            "rss_bytes": self._rss_bytes,
            "tick": counters.tick,
            "lag_s": lag_ns / 1e9,
            "unsent": counters.unsent,
            "overrun": counters.overrun,
        }
        if self._exchanges:
            error, offset = min(self._exchanges)
            found |= {"clock_offset_s": offset, "clock_error_s": error}
        return found
