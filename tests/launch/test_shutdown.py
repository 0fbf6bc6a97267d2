"""The order in which nodes end: a stage is asked only when those that started after it are gone."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

import pytest

from launch import shutdown
from launch.program import Kind, Node
from launch.restart import RestartPolicy
from launch.shutdown import Patience, stop_all
from launch.state import Slot

LONG = Patience(stage_s=60.0, total_s=120.0, terminate_s=60.0, recorder_s=0.0)


@dataclass
class Process:
    """Ends when it has been looked at a few times after a signal that it obeys."""

    name: str
    story: list[tuple[str, str]]
    obeys: frozenset[signal.Signals] = frozenset({signal.SIGINT})
    pid: int = 0
    looks: int = 3
    asked: bool = field(default=False, init=False)

    def exit_code(self) -> int | None:
        if self.asked and self.looks:
            self.looks -= 1
            if not self.looks:
                self.story.append((self.name, "ended"))
        return None if self.looks else 0

    def receive(self, number: signal.Signals) -> None:
        if self.looks:
            self.story.append((self.name, number.name))
            self.asked |= number in self.obeys


@pytest.fixture(autouse=True)
def _no_real_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "send", lambda process, number: process.receive(number))


def slot(process: Process, kind: Kind) -> Slot:
    return Slot(Node(process.name, kind, "module", (), RestartPolicy()), process)


def test_each_stage_is_gone_before_the_one_that_started_before_it_is_asked() -> None:
    story: list[tuple[str, str]] = []
    kinds = {"bag": Kind.RECORDER, "sim": Kind.SIMULATOR, "critic": Kind.CRITIC, "a": Kind.AGENT}
    slots = [slot(Process(name, story), kind) for name, kind in (kinds | {"b": Kind.AGENT}).items()]
    meanwhile: list[int] = []
    assert stop_all(slots, LONG, lambda: meanwhile.append(len(story))) == []
    agents, others = story[:4], story[4:]
    assert agents[:2] == [("b", "SIGINT"), ("a", "SIGINT")]
    assert set(agents[2:]) == {("a", "ended"), ("b", "ended")}
    assert others == [(name, what) for name in ("critic", "sim", "bag") for what in ("SIGINT", "ended")]
    assert meanwhile, "others are listened to while nodes end"


def test_who_does_not_end_when_asked_is_told_and_waited_for() -> None:
    story: list[tuple[str, str]] = []
    slots = [slot(Process("told", story, frozenset({signal.SIGTERM})), Kind.AGENT)]
    patience = Patience(stage_s=0.0, total_s=0.0, terminate_s=60.0, recorder_s=0.0)
    assert stop_all(slots, patience, lambda: None) == []
    assert [what for _, what in story] == ["SIGINT", "SIGTERM", "ended"]


def test_who_ends_by_no_words_is_killed_and_named() -> None:
    story: list[tuple[str, str]] = []
    slots = [slot(Process("deaf", story, frozenset({signal.SIGKILL})), Kind.AGENT)]
    patience = Patience(stage_s=0.0, total_s=0.0, terminate_s=0.0, recorder_s=0.0)
    assert stop_all(slots, patience, lambda: None) == ["deaf"]
    assert [what for _, what in story] == ["SIGINT", "SIGTERM", "SIGKILL", "ended"]
