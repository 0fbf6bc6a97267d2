"""What hz, bw and delay measure, from headers and sizes alone.

A rate is that of the publisher: how far its sequence numbers went, over the time between its stamps. It is
right also where this process gets only a part of the messages.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.codec import Header

_SILENT_S = 2.0  # a sender that has been silent for so long, and three of its intervals, counts no more


@dataclass
class _Sender:
    incarnation: int
    seq: int
    wall_ns: int
    steps: deque[tuple[float, int]]  # seconds, messages
    heard_s: float = field(default_factory=time.monotonic)

    def silent(self, now_s: float) -> bool:
        longest = max((seconds for seconds, _ in self.steps), default=0.0)
        return now_s - self.heard_s > max(_SILENT_S, 3 * longest)


class RateMeter:
    """Messages per second, and how evenly they come."""

    def __init__(self, window: int) -> None:
        """Average over at most `window` steps of each sender."""
        self.missed = 0  # messages that were published but did not come here
        self.news = False  # whether something came since the last report
        self._window = window
        self._senders: dict[str, _Sender] = {}

    def take(self, header: Header) -> None:
        """Count a message."""
        self.news = True
        sender = self._senders.get(header.sender)
        if sender is None or sender.incarnation != header.incarnation:
            steps: deque[tuple[float, int]] = deque(maxlen=self._window)
            self._senders[header.sender] = _Sender(header.incarnation, header.seq, header.wall_ns, steps)
        elif header.seq > sender.seq:
            count = header.seq - sender.seq
            self.missed += count - 1
            sender.steps.append((max(0.0, (header.wall_ns - sender.wall_ns) / 1e9), count))
            sender.seq, sender.wall_ns, sender.heard_s = header.seq, header.wall_ns, time.monotonic()

    def rate(self) -> float | None:
        """Return messages per second of all senders, None while nothing can be said."""
        rates = [_rate(sender.steps) for sender in self._living()]
        return sum(rates) if rates else None

    def report(self) -> str:
        """Return the lines that `ros2 topic hz` prints."""
        rate = self.rate()
        if rate is None or not self.news:
            return "no new messages"
        self.news = False
        steps = [step for sender in self._living() for step in sender.steps]
        intervals = [(seconds / count, count) for seconds, count in steps]
        total = sum(count for _, count in intervals)
        mean = sum(value * count for value, count in intervals) / total
        deviation = math.sqrt(sum(count * (value - mean) ** 2 for value, count in intervals) / total)
        lines = f"average rate: {rate:.3f}\n\t{_spread([v for v, _ in intervals], deviation, total)}"
        if self.missed:
            lines += f"\n\tpublished but not received here: {self.missed} (counted in the rate)"
        return lines

    def _living(self) -> list[_Sender]:
        now_s = time.monotonic()
        return [s for s in self._senders.values() if s.steps and not s.silent(now_s)]


class BandwidthMeter:
    """Bytes per second on the wire, and the size of messages."""

    def __init__(self, window: int) -> None:
        """Average over at most `window` messages."""
        self._rates = RateMeter(window)
        self._sizes: deque[int] = deque(maxlen=window)

    def take(self, header: Header, size: int) -> None:
        """Count a message of `size` bytes."""
        self._rates.take(header)
        self._sizes.append(size)

    def report(self) -> str:
        """Return the lines that `ros2 topic bw` prints."""
        rate = self._rates.rate()
        if rate is None or not self._rates.news:
            return "no new messages"
        self._rates.news = False
        count, mean = len(self._sizes), sum(self._sizes) / len(self._sizes)
        shown, low, high = _bytes(mean), _bytes(min(self._sizes)), _bytes(max(self._sizes))
        return (
            f"{_bytes(mean * rate)}/s from {count} messages\n"
            f"\tMessage size mean: {shown} min: {low} max: {high}"
        )


class DelayMeter:
    """Time from the publisher's stamp to this process."""

    def __init__(self, window: int) -> None:
        """Average over at most `window` messages."""
        self._delays: deque[float] = deque(maxlen=window)
        self._news = False

    def take(self, header: Header, wall_ns: int) -> None:
        """Count a message that was taken in at `wall_ns`."""
        self._news = True
        self._delays.append((wall_ns - header.wall_ns) / 1e9)

    def report(self) -> str:
        """Return the lines that `ros2 topic delay` prints."""
        if not self._news:
            return "no new messages"
        self._news = False
        count = len(self._delays)
        mean = sum(self._delays) / count
        deviation = math.sqrt(sum((delay - mean) ** 2 for delay in self._delays) / count)
        return f"average delay: {mean:.6f}\n\t{_spread(list(self._delays), deviation, count)}"


def _rate(steps: Sequence[tuple[float, int]]) -> float:
    seconds = sum(step for step, _ in steps)
    return sum(count for _, count in steps) / seconds if seconds > 0 else 0.0


def _spread(values: Sequence[float], deviation: float, window: int) -> str:
    return f"min: {min(values):.6f}s max: {max(values):.6f}s std dev: {deviation:.6f}s window: {window}"


def _bytes(size: float) -> str:
    if size >= 1e6:
        return f"{size / 1e6:.2f} MB"
    return f"{size / 1e3:.2f} KB" if size >= 1e3 else f"{size:.0f} B"
