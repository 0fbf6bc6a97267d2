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
        self.refused = 0  # no message of the bus, or its header cannot be read
        self.late: dict[_Stream, int] = {}  # streams whose first message was not their number 0
        self._last: dict[_Stream, int] = {}

    def note(self, topic: str, origin: Origin) -> Gap | bool:
        """Take note of a message.

        Returns:
            True if it is the next one, False if it, or a later one, has come before; else the gap before it.
        """
        stream = (topic, origin.sender, origin.incarnation)
        last = self._last.get(stream)
        if last is not None and origin.seq <= last:
            self.repeated += 1
            return False
        self._last[stream] = origin.seq
        if last is None and origin.seq:
            self.late[stream] = origin.seq
        if last is None or origin.seq == last + 1:
            return True
        self.lost[topic] += origin.seq - last - 1
        return Gap(topic, origin.sender, last + 1, origin.seq - 1)
