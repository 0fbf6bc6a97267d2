"""Lock-step without loss, as two state machines without I/O.

Theory. PUB/SUB may drop, duplicate and reorder. One side, the leader (simulator), opens a round
(epoch, tick) and needs an answer from every member before it opens the next. Both sides are
idempotent by (epoch, tick):

    leader                                      member (agent)
    open(e, t) ── observation(e, t) ──────────► new?     answer it, remember the answer
       │ retry interval over, answer missing    repeat?  send the remembered answer again
       └─ observation(e, t) again, to the       old?     ignore
          silent members only ───────────────►
    accept(e, t) once per member, ignore the rest; all there: close()

So a lost, duplicated or late message costs time and never correctness. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from broker.errors import LockstepError

P = TypeVar("P")
Round = tuple[int, int]  # (epoch, tick)


class Receipt(Enum):
    """What the leader makes of an answer."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE = "stale"  # of an earlier round
    UNASKED = "unasked"  # of a round that is not open yet
    UNKNOWN = "unknown"  # from somebody who is no member


class Leader(Generic[P]):
    """The side that opens rounds.

    Args:
        members: who must answer, in the order in which answers are handed over.
        retry_s: after this time a round is sent again to those who have not answered.
    """

    def __init__(self, members: Sequence[str], retry_s: float = 0.2) -> None:
        self.members = tuple(members)
        self.retry_s = retry_s
        self.round: Round | None = None
        self._answers: dict[str, P] = {}
        self._left: set[str] = set()
        self._opened_at = 0.0
        self._sent_at = 0.0

    def open(self, round_: Round, now: float) -> None:
        """Open a round.

        Raises:
            LockstepError: the open round still lacks answers, or `round_` is not a later one.
        """
        if self.round is not None and not self.complete:
            msg = f"round {round_} opened while {self.round} waits for {self.missing}"
            raise LockstepError(msg)
        self._begin(round_, now)

    def abandon(self, round_: Round, now: float) -> None:
        """Open a round and give up the open one: a reset of the world, or a deadline with a fallback."""
        self._begin(round_, now)

    def accept(self, member: str, round_: Round, answer: P) -> Receipt:
        """Take an answer; only the first one to the open round counts."""
        if member not in self.members:
            return Receipt.UNKNOWN
        self._left.discard(member)
        if self.round is None or round_ > self.round:
            return Receipt.UNASKED
        if round_ < self.round:
            return Receipt.STALE
        if member in self._answers:
            return Receipt.DUPLICATE
        self._answers[member] = answer
        return Receipt.ACCEPTED

    def leave(self, member: str) -> None:
        """Let a member go: rounds no longer wait for it until it answers again."""
        if member in self.members:
            self._left.add(member)

    @property
    def left(self) -> tuple[str, ...]:
        """Return the members that have left."""
        return tuple(m for m in self.members if m in self._left)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the members whose answer the open round waits for."""
        return tuple(m for m in self.members if m not in self._answers and m not in self._left)

    @property
    def complete(self) -> bool:
        """Return whether all answers to the open round are there."""
        return self.round is not None and not self.missing

    def due(self, now: float) -> tuple[str, ...]:
        """Return the members to send the open round to again now, and count it as sent."""
        if self.round is None or now - self._sent_at < self.retry_s:
            return ()
        self._sent_at = now
        return self.missing

    def next_retry(self) -> float:
        """Return the time at which `due` may name somebody again."""
        return self._sent_at + self.retry_s

    def waited(self, now: float) -> float:
        """Return for how long the open round has been open, in seconds; 0 before the first one."""
        return 0.0 if self.round is None else now - self._opened_at

    def answers(self) -> dict[str, P]:
        """Return the answers to the open round in the order of members, never by arrival."""
        return {m: self._answers[m] for m in self.members if m in self._answers}

    def _begin(self, round_: Round, now: float) -> None:
        if self.round is not None and round_ <= self.round:
            msg = f"round {round_} opened after {self.round}; rounds only go forward"
            raise LockstepError(msg)
        self.round = round_
        self._answers = {}
        self._opened_at = self._sent_at = now


class Call(Enum):
    """What a member makes of a round it is sent."""

    NEW = "new"  # answer it
    REPEAT = "repeat"  # send the remembered answer again
    PENDING = "pending"  # it is being answered already
    STALE = "stale"  # ignore it


@dataclass
class Member(Generic[P]):
    """The side that answers rounds."""

    round: Round | None = None
    answer: P | None = field(default=None)

    def called(self, round_: Round) -> Call:
        """Take note of a round that arrived."""
        if self.round is None or round_ > self.round:
            self.round, self.answer = round_, None
            return Call.NEW
        if round_ < self.round:
            return Call.STALE
        return Call.PENDING if self.answer is None else Call.REPEAT

    def answered(self, answer: P) -> None:
        """Remember the answer to the current round, to repeat it when asked again.

        Raises:
            LockstepError: there is no round to answer, or it was answered already.
        """
        if self.round is None or self.answer is not None:
            msg = f"round {self.round} has an answer or was never asked"
            raise LockstepError(msg)
        self.answer = answer
