"""Counts what is missing in each sender's sequence numbers, topic by topic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from broker.bag.layout import Origin

_Stream = tuple[str, str, int]  # topic, sender, incarnation


@dataclass(frozen=True)
class Gap:
    """Sequence numbers that are missing."""

    topic: str
    sender: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """Return how many messages are missing."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        which = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"topic {self.topic} from {self.sender}: {self.count} missing, sequence number {which}"


class Ledger:
    """What has come of every topic, sender and life of the sender."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.lost: Counter[str] = Counter()  # topic -> messages
        self.repeated = 0  # older than, or the same as, one that came before
        self.late: dict[_Stream, int] = {}  # streams whose first message was not their number 0
        self._last: dict[_Stream, int] = {}

    def repeats(self, topic: str, origin: Origin) -> bool:
        """Say whether this message, or a later one of its sender, has come already."""
        return origin.seq <= self._last.get((topic, origin.sender, origin.incarnation), -1)

    def note(self, topic: str, origin: Origin) -> Gap | None:
        """Take note of a message; return the gap before it, if there is one."""
        stream = (topic, origin.sender, origin.incarnation)
        last = self._last.get(stream)
        if last is None:
            if origin.seq:
                self.late[stream] = origin.seq
        elif origin.seq <= last:
            self.repeated += 1
            return None
        self._last[stream] = origin.seq
        if last is None or origin.seq == last + 1:
            return None
        self.lost[topic] += origin.seq - last - 1
        return Gap(topic, origin.sender, last + 1, origin.seq - 1)
