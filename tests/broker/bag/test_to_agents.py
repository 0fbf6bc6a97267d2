"""Replay to agents: every recorded action is compared, or counted as missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from broker import Node, topics
from broker.bag.errors import ReplayError
from broker.bag.settings import PlayerSettings
from broker.bag.to_agents import ToAgents
from broker.messages import Action, Observation
from broker.presence import await_nodes
from tests.broker.bag.bags import START_NS, frames_of, in_thread, observation, write

pytestmark = pytest.mark.timeout(60)
AGENTS = ("a", "b")
TICKS = 10


def answer(tick: int, *, leaving: bool = False) -> Action:
    return Action(1, tick, np.full((2, 1), tick, np.float32), leaving=leaving)


def recorded(path: Path, begin: int = 0) -> Path:
    """A run of ten ticks with the answers of two agents; a gives its last one again in the next tick."""
    messages = []
    for tick in range(TICKS):
        if tick >= begin:
            shown = observation(tick)
            messages += [frames_of(topics.observation(agent), shown, tick) for agent in AGENTS]
        given = [("a", max(tick - 1, 0)), ("a", tick), ("b", tick)]
        messages += [frames_of(topics.action(agent), answer(then), 2 * tick, agent) for agent, then in given]
    stamped = [(frames, START_NS + number * 1000) for number, frames in enumerate(messages)]
    return write(path, stamped)


@contextmanager
def agent(name: str, address: str, until: int) -> Iterator[None]:
    """An agent that answers as recorded, and leaves at a tick."""
    running = [True]

    def run() -> None:
        with Node(name, address) as node:
            publisher = node.publisher(topics.action(name), Action)
            shown = node.subscription(topics.observation(name), Observation)
            node.ready(20.0)
            while running[0] and node.ok():
                node.spin(0.05)
                while (received := shown.take()) is not None:
                    tick = received.message.tick
                    publisher.publish(answer(tick, leaving=tick >= until))
                    if tick >= until:
                        return

    with in_thread(run, lambda: running.__setitem__(0, False)):
        yield


def compared(tmp_path: Path, bag: Path, complaint: str = "", **until: int) -> dict[str, int]:
    """Replay a bag to agents, each until some tick; returns the comparison, which may be complained of."""
    address, report = f"memory://{tmp_path.name}", tmp_path / "comparison.json"
    settings = PlayerSettings(
        str(bag), rate=None, role="to_agents", report=str(report), wait_for=AGENTS, deadline_s=20.0
    )
    with Node("simulator", address) as node, ExitStack() as stack:
        player = ToAgents(node, settings)
        for name, tick in until.items():
            stack.enter_context(agent(name, address, tick))
        assert await_nodes(node, AGENTS) == []
        if complaint:
            with pytest.raises(ReplayError, match=complaint):
                player.run()
        else:
            assert player.run() == 0
    return json.loads(report.read_text())


def test_all_actions_are_compared(tmp_path: Path) -> None:
    found = compared(tmp_path, recorded(tmp_path / "b.mcap"), a=TICKS, b=TICKS)
    assert found["compared"] == found["identical"] == 2 * TICKS
    assert found["missing"] == found["unexpected"] == 0


def test_what_an_agent_that_leaves_early_did_not_answer_is_missing(tmp_path: Path) -> None:
    found = compared(
        tmp_path, recorded(tmp_path / "b.mcap"), "14 of 14 actions identical, 6 missing", a=4, b=TICKS
    )
    assert found["compared"] == found["identical"] == 4 + TICKS
    assert found["missing"] == TICKS - 4


def test_what_nobody_was_asked_for_is_not_missing(tmp_path: Path) -> None:
    bag = recorded(tmp_path / "b.mcap", begin=6)  # its recorder joined late
    found = compared(tmp_path, bag, a=TICKS, b=TICKS)
    assert found["compared"] == 2 * (TICKS - 6)
    assert found["missing"] == 0
