"""Laws of lock-step under random loss, duplication, reordering and restarts."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import LockstepError
from broker.lockstep import Call, Leader, Member, Receipt

MEMBERS = ("a", "b", "c")


class LossyWorld:
    """A leader and three members joined by a network that loses, duplicates, delays and reorders."""

    def __init__(self, seed: int, loss: float, duplication: float, restarts: float) -> None:
        self.random = random.Random(seed)
        self.loss, self.duplication, self.restarts = loss, duplication, restarts
        self.leader: Leader[int] = Leader(MEMBERS, retry_s=1.0)
        self.members = {name: Member[int]() for name in MEMBERS}
        self.network: list[tuple[str, str, tuple[int, int], int]] = []  # kind, member, round, answer
        self.applied: list[tuple[tuple[int, int], dict[str, int]]] = []
        self.computed: dict[str, list[tuple[int, int]]] = {name: [] for name in MEMBERS}

    def send(self, *packet: object) -> None:
        if self.random.random() < self.loss:
            return
        self.network.append(packet)  # type: ignore[arg-type]
        if self.random.random() < self.duplication:
            self.network.append(packet)  # type: ignore[arg-type]

    def publish(self, members: tuple[str, ...]) -> None:
        for member in members:
            self.send("call", member, self.leader.round, 0)

    def run(self, ticks: int) -> None:
        now, epoch, tick = 0.0, 1, 0
        self.leader.open((epoch, tick), now)
        self.publish(MEMBERS)
        for _ in range(100_000):
            now += 0.1
            self.publish(self.leader.due(now))
            if self.random.random() < self.restarts:
                self.members[self.random.choice(MEMBERS)] = Member()
            if self.network:
                self.deliver(self.network.pop(self.random.randrange(len(self.network))))
            if self.leader.complete:
                self.applied.append(((epoch, tick), self.leader.answers()))
                if len(self.applied) == ticks:
                    return
                reset = self.random.random() < 0.05
                epoch, tick = (epoch + 1, 0) if reset else (epoch, tick + 1)
                self.leader.open((epoch, tick), now)
                self.publish(MEMBERS)
        pytest.fail("lock-step did not get through")

    def deliver(self, packet: tuple[str, str, tuple[int, int], int]) -> None:
        kind, name, round_, answer = packet
        member = self.members[name]
        if kind == "answer":
            self.leader.accept(name, round_, answer)
            return
        call = member.called(round_)
        if call is Call.NEW:
            self.computed[name].append(round_)
            member.answered(hash((name, round_)))
        if call in (Call.NEW, Call.REPEAT):
            self.send("answer", name, round_, member.answer)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.7),
    duplication=st.floats(0, 0.9),
    restarts=st.floats(0, 0.02),
)
def test_no_tick_is_applied_twice_or_skipped(seed, loss, duplication, restarts):
    world = LossyWorld(seed, loss, duplication, restarts)
    world.run(ticks=40)
    rounds = [round_ for round_, _ in world.applied]
    assert rounds == sorted(set(rounds))
    for (epoch, tick), (next_epoch, next_tick) in itertools.pairwise(rounds):
        assert (next_epoch, next_tick) in ((epoch, tick + 1), (epoch + 1, 0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.7), duplication=st.floats(0, 0.9))
def test_every_answer_that_is_applied_belongs_to_its_round_and_member(seed, loss, duplication):
    world = LossyWorld(seed, loss, duplication, restarts=0.0)
    world.run(ticks=40)
    for round_, answers in world.applied:
        assert list(answers) == list(MEMBERS)
        assert answers == {name: hash((name, round_)) for name in MEMBERS}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.7), duplication=st.floats(0, 0.9))
def test_a_member_that_lives_computes_each_tick_once(seed, loss, duplication):
    world = LossyWorld(seed, loss, duplication, restarts=0.0)
    world.run(ticks=40)
    for rounds in world.computed.values():
        assert rounds == sorted(set(rounds))


def test_only_silent_members_are_asked_again_and_only_after_the_retry_interval():
    leader: Leader[int] = Leader(MEMBERS, retry_s=1.0)
    leader.open((1, 0), now=10.0)
    assert leader.accept("b", (1, 0), 7) is Receipt.ACCEPTED
    assert leader.due(10.9) == ()
    assert leader.due(11.0) == ("a", "c")
    assert leader.due(11.5) == ()


def test_answers_to_other_rounds_and_from_strangers_do_not_count():
    leader: Leader[int] = Leader(MEMBERS)
    leader.open((2, 5), now=0.0)
    assert leader.accept("a", (2, 4), 1) is Receipt.STALE
    assert leader.accept("a", (1, 9), 1) is Receipt.STALE
    assert leader.accept("a", (2, 6), 1) is Receipt.UNASKED
    assert leader.accept("x", (2, 5), 1) is Receipt.UNKNOWN
    assert leader.accept("a", (2, 5), 1) is Receipt.ACCEPTED
    assert leader.accept("a", (2, 5), 2) is Receipt.DUPLICATE
    assert leader.answers() == {"a": 1}
    assert leader.missing == ("b", "c")


def test_a_member_that_left_is_not_waited_for_until_it_answers_again():
    leader: Leader[int] = Leader(MEMBERS)
    leader.open((1, 0), now=0.0)
    leader.leave("c")
    leader.accept("a", (1, 0), 1)
    leader.accept("b", (1, 0), 1)
    assert leader.complete
    leader.open((1, 1), now=1.0)
    assert leader.missing == ("a", "b")
    leader.accept("c", (1, 1), 3)
    leader.accept("a", (1, 1), 1)
    leader.accept("b", (1, 1), 1)
    leader.open((1, 2), now=2.0)
    assert leader.missing == MEMBERS


def test_a_round_cannot_be_opened_over_an_incomplete_one_or_backwards():
    leader: Leader[int] = Leader(MEMBERS)
    leader.open((1, 3), now=0.0)
    with pytest.raises(LockstepError, match=r"waits for \('a', 'b', 'c'\)"):
        leader.open((1, 4), now=0.0)
    leader.abandon((2, 0), now=0.0)
    with pytest.raises(LockstepError, match="only go forward"):
        leader.abandon((2, 0), now=0.0)


def test_a_member_cannot_answer_twice_or_unasked():
    member: Member[int] = Member()
    with pytest.raises(LockstepError):
        member.answered(1)
    assert member.called((1, 0)) is Call.NEW
    assert member.called((1, 0)) is Call.PENDING
    member.answered(1)
    assert member.called((1, 0)) is Call.REPEAT
    with pytest.raises(LockstepError):
        member.answered(2)
