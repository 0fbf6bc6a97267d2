"""From the heartbeats of nodes to the rows of `chorus top`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.registry import RENEWAL_S

HEADINGS = ("NODE", "STATE", "TICK", "RATE", "LAG", "LOST", "CPU", "MEM", "HOST")
_SILENT_S = 3 * RENEWAL_S


@dataclass(frozen=True)
class _Beat:
    """One heartbeat."""

    pid: int
    stamp_s: float  # node's clock that only goes forward
    tick: int
    cpu_s: float


@dataclass(frozen=True)
class _Pace:
    """What follows from two heartbeats."""

    ticks_per_s: float
    cpu: float  # share of one core


class Samples:
    """Remembers the last heartbeat of every node, to tell rates."""

    def __init__(self) -> None:
        self._beats: dict[str, _Beat] = {}
        self._paces: dict[str, _Pace] = {}

    def add(self, nodes: Mapping[str, Any]) -> None:
        """Take in the records of all nodes."""
        for gone in self._beats.keys() - nodes.keys():
            del self._beats[gone]
            self._paces.pop(gone, None)
        for name, record in nodes.items():
            if record["vitals"]:
                self._compare(name, record)

    def complete(self, nodes: Mapping[str, Any]) -> bool:
        """Return whether the rates of all nodes are known, but for those that are silent."""
        return all(name in self._paces or r["renewed_s_ago"] > _SILENT_S for name, r in nodes.items())

    def row(self, name: str, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the cells of a node, one per heading."""
        status, vitals, pace = record["status"], record["vitals"], self._paces.get(name)
        age = record["renewed_s_ago"]
        tick = tick_of(record)
        return (
            name,
            f"silent {age:.0f} s" if age > _SILENT_S else status.get("state", "starting"),
            str(tick) if tick else "",
            f"{pace.ticks_per_s:.1f}/s" if pace and tick else "",
            f"{vitals['lag_s'] * 1e3:.1f} ms" if "lag_s" in vitals else "",
            str(status.get("lost", "")),
            f"{100 * pace.cpu:.0f}%" if pace else "",
            f"{vitals['rss_bytes'] / 1e6:.0f} MB" if vitals else "",
            record["host"],
        )

    def _compare(self, name: str, record: Mapping[str, Any]) -> None:
        vitals = record["vitals"]
        beat = _Beat(record["pid"], vitals["stamp_s"], tick_of(record), vitals["cpu_s"])
        before = self._beats.setdefault(name, beat)
        if before.pid != beat.pid:
            self._paces.pop(name, None)
        elif beat.stamp_s - before.stamp_s < RENEWAL_S / 2:
            return  # the same heartbeat, or one out of turn
        else:
            seconds = beat.stamp_s - before.stamp_s
            ticks = max(0, beat.tick - before.tick)  # a new epoch begins at 0
            self._paces[name] = _Pace(ticks / seconds, (beat.cpu_s - before.cpu_s) / seconds)
        self._beats[name] = beat


def tick_of(record: Mapping[str, Any]) -> int:
    """Return the newest tick: a learner puts it into its status only when a rollout begins."""
    return int(record["vitals"].get("tick", 0) or record["status"].get("tick", 0))
