"""What a recorder keeps in memory for a snapshot: the last seconds, and every latched value."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from broker.bag.recording import Taken


class LastSeconds:
    """The messages of the last seconds, and of each latched topic the newest from before.

    Args:
        span_s: how long messages are kept.
        is_latched: says of a topic whether it is latched.
    """

    def __init__(self, span_s: float, is_latched: Callable[[str], bool]) -> None:
        self._span_ns = int(span_s * 1e9)
        self._is_latched = is_latched
        self._kept: deque[Taken] = deque()
        self._newest: dict[str, Taken] = {}  # latched values that are older than what is kept

    def keep(self, taken: Taken) -> None:
        """Take in a message; those that are too old by now go."""
        self._kept.append(taken)
        oldest_ns = taken.stamp_ns - self._span_ns
        while self._kept[0].stamp_ns < oldest_ns:
            self._let_go()

    def held(self) -> Iterator[Taken]:
        """Yield what is kept: latched values from before first, as of the moment at which the rest begins."""
        newest = self._newest.values()
        stamps = [taken.stamp_ns for taken in (*newest, *self._kept)]
        first_ns = self._kept[0].stamp_ns if self._kept else max(stamps, default=0)
        for taken in newest:
            yield taken._replace(stamp_ns=first_ns)
        yield from self._kept

    def forget(self) -> None:
        """Let all go but for the latched values, which each snapshot has."""
        while self._kept:
            self._let_go()

    def _let_go(self) -> None:
        gone = self._kept.popleft()
        if self._is_latched(gone.topic):
            self._newest[gone.topic] = gone
