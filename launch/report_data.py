"""What a run's report tells, read from the run's folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agents.statistics import Estimate, bootstrap
from launch.episodes import Episode
from launch.measures import over_episodes
from launch.run_folder import DURATION

KINDS = (
    "physics",
    "acting",
    "answering",
    "messaging",
    "learning",
    "waiting",
)  # in the order of the timing table


@dataclass(frozen=True)
class Curve:
    """One quantity of one node over the updates of a run."""

    node: str
    ticks: tuple[float, ...]  # environment steps of this node
    values: tuple[float, ...]


@dataclass(frozen=True)
class Timing:
    """Where one node's wall-clock time went."""

    node: str
    ticks: int
    n_envs: int
    seconds: dict[str, float]  # by kind of work

    def per_tick_ms(self, kind: str) -> float:
        """Return milliseconds per tick spent on one kind of work."""
        return 1e3 * self.seconds.get(kind, 0.0) / max(self.ticks, 1)


@dataclass(frozen=True)
class Score:
    """How one policy did over all scenarios."""

    policy: str
    episodes: int
    survived: Estimate  # share of the episode, 0 to 1
    episode_return: Estimate
    interventions: float  # share of agents and ticks
    metrics: dict[str, float]  # the grid's own and the measures asked for; see over_episodes


def scores(episodes: Iterable[Episode]) -> list[Score]:
    """Return a score per policy, in the order in which they were played."""
    by_policy: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_policy.setdefault(episode.policy, []).append(episode)
    return [
        Score(
            policy=policy,
            episodes=len(played),
            survived=bootstrap([e.survived for e in played], _mean),
            episode_return=bootstrap([e.episode_return for e in played], _mean),
            interventions=float(np.mean([e.interventions for e in played])),
            metrics={
                name: over_episodes(name, np.array([e.metrics[name] for e in played], float))
                for name in played[0].metrics
            },
        )
        for policy, played in by_policy.items()
    ]


def curves(run_dir: Path, column: str) -> list[Curve]:
    """Return one column of every node's progress, e.g. "rollout/ep_rew_mean", through all its restarts."""
    found = []
    for folder in sorted(path for path in (run_dir / "tb").glob("*") if path.is_dir()):
        points: dict[float, float] = {}
        for path in sorted(folder.glob("progress*.csv"), key=lambda p: (len(p.name), p.name)):  # by restart
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            points |= {float(r["time/total_timesteps"]): float(r[column]) for r in rows if r.get(column)}
        if points:
            ticks, values = zip(*sorted(points.items()), strict=True)
            found.append(Curve(folder.name, ticks, values))
    return found


def timings(run_dir: Path) -> list[Timing]:
    """Return every node's timing, the simulator first; all per tick of the simulator."""
    found = []
    for path in sorted((run_dir / "timing").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        ticks, n_envs = int(document.get("ticks", 0)), int(document.get("n_envs", 1))
        found.append(Timing(path.stem, ticks, n_envs, document["seconds"]))
    found.sort(key=lambda timing: "physics" not in timing.seconds)
    # The critic counts updates, not ticks.
    return [replace(t, ticks=found[0].ticks, n_envs=found[0].n_envs) if t.ticks == 0 else t for t in found]


def duration_s(run_dir: Path) -> float | None:
    """Return the wall time of the ensemble, all lives of its nodes; None if the run did not write it."""
    path = run_dir / DURATION
    return float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) if path.exists() else None


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values))
