"""What the supervisor knows of every node, and what of it is worth showing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.messages import NodeStatus
from launch.processes import Running
from launch.program import Kind, Node

_RATE_WINDOW_S = 2.0  # over which ticks per second are measured


@dataclass
class Slot:
    """One node under supervision, through all its lives."""

    node: Node
    process: Running | None = None
    restarts: int = 0
    started_at: float = 0.0  # monotonic seconds, of the current life
    restart_at: float | None = None  # when a dead node is to be started again
    ready: bool = False  # in the current life
    was_ready: bool = False  # in any life
    finished: bool = False  # ended regularly
    status: NodeStatus | None = None  # newest of the current life
    rate: float = 0.0  # ticks per second
    result: str = ""  # what the node was there to find out, such as how a replay came out
    _measured: tuple[float, int] = field(default=(0.0, 0))

    def begin(self, process: Running | None) -> None:
        """Start a life of the node; an external one has no process of ours."""
        self.process = process
        self.started_at = time.monotonic()
        self.restart_at = None
        self.ready = not self.node.gated
        self.status = None
        self._measured = (self.started_at, -1)

    def hear(self, status: NodeStatus) -> None:
        """Take note of what the node says of itself."""
        self.status = status
        self.result = str(self.figures.get("result", self.result))
        if status.state in ("ready", "running", "done"):
            self.ready = self.was_ready = True
        if self.node.external and status.state == "done":
            self.finished = True
        now, (since, tick) = time.monotonic(), self._measured
        if status.tick < tick or tick < 0:
            self._measured = (now, status.tick)
        elif now - since >= _RATE_WINDOW_S:
            self.rate = (status.tick - tick) / (now - since)
            self._measured = (now, status.tick)

    @property
    def state(self) -> str:
        """Return the node's state in a word."""
        if self.finished:
            return "done"
        if self.restart_at is not None:
            return "restarting"
        if self.status is not None:
            return self.status.state
        if self.ready:
            return "running"
        return "awaited" if self.node.external else "starting"

    @property
    def figures(self) -> Mapping[str, Any]:
        """Return the figures in the status's note, a JSON object such as {"updates": 3, "reward": -0.2}."""
        if self.status is None or not self.status.note.startswith("{"):
            return {}
        try:
            return dict(json.loads(self.status.note))
        except ValueError:
            return {}


@dataclass(frozen=True)
class Row:
    """One line of the progress table."""

    name: str
    state: str
    tick: str
    updates: str
    reward: str
    rate: str
    lost: str
    restarts: str


def row(slot: Slot) -> Row:
    """Return what the table shows of a node."""
    status, figures = slot.status, slot.figures
    counts_ticks = slot.node.kind in (Kind.SIMULATOR, Kind.AGENT)
    reward = figures.get("reward")
    return Row(
        name=slot.node.name,
        state=slot.state,
        tick=str(status.tick) if status and counts_ticks else "",
        updates=str(figures.get("updates", "")),
        reward=f"{reward:.4g}" if isinstance(reward, int | float) else "",
        rate=f"{slot.rate:.0f}/s" if counts_ticks and slot.rate > 0 else "",
        lost=str(status.lost) if status else "",
        restarts=str(slot.restarts) if slot.restarts else "",
    )


def progress(slots: Sequence[Slot], n_steps: int, total: int) -> int:
    """Return how many of all ticks are done: those of the agent that is furthest behind.

    An agent that learns reports at the start of each rollout; the simulator's tick tells how far the
    rollout is.
    """
    now = max((s.status.tick for s in slots if s.node.kind == Kind.SIMULATOR and s.status), default=0)
    done = [total if s.finished else _ticks(s, now, n_steps) for s in slots if s.node.finite]
    return min(total, min(done, default=0))


def _ticks(slot: Slot, now: int, n_steps: int) -> int:
    figures = slot.figures
    if slot.status is None or "updates" not in figures:
        return int(figures.get("ticks", 0))
    return int(figures["updates"]) * n_steps + min(n_steps, max(0, now - slot.status.tick))
