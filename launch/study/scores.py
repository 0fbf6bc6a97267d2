"""What all policies of a study did, as tables of runs and scenarios; and all of it as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from launch.episodes import Episode
from launch.study.rows import Plan, Row
from launch.study.study import COMMON

Table = NDArray[np.float64]  # (runs, scenarios)

_COLUMNS = ("condition", "policy", "variant", "seed", "scenario", "return", "ticks", "survived", "terminated",
            "interventions")  # fmt: skip


@dataclass(frozen=True)
class Score:
    """One policy under one condition: all its runs, or the one run of a baseline."""

    policy: str
    variant: str  # empty: a baseline
    condition: str
    seeds: tuple[int, ...]
    episodes: tuple[tuple[Episode, ...], ...]  # per run, in the order of scenarios

    @property
    def returns(self) -> Table:
        """Return (runs, scenarios)."""
        return self.table(lambda episode: episode.episode_return)

    def figure(self, name: str) -> Table:
        """Return (runs, scenarios) of survived, terminated, interventions, ticks, or of a measure."""
        if name in COMMON:
            return self.table(lambda episode: float(getattr(episode, name)))
        return self.table(lambda episode: float(episode.metrics.get(name, np.nan)))

    def table(self, value: Callable[[Episode], float]) -> Table:
        """Return (runs, scenarios) of some value of an episode."""
        return np.array([[value(episode) for episode in run] for run in self.episodes])


def read_scores(plan: Plan, rows: Sequence[Row], outdated: Collection[Path] = ()) -> list[Score]:
    """Return every policy under every condition: variants first, then baselines, in the study's order.

    Args:
        plan: the study.
        rows: finished runs, evaluated as the study asks for.
        outdated: files of baselines that are not to be read: they were evaluated otherwise.
    """
    found: dict[tuple[str, str, str], list[tuple[int, tuple[Episode, ...]]]] = {}
    for condition in plan.study.cells:
        for row in rows:
            for name, played in _by_policy(plan.result_file(row.folder, condition)):
                label = row.variant if name == "ensemble" else name.replace("ensemble", row.variant)
                found.setdefault((condition, label, row.variant), []).append((row.seed, played))
        rules = plan.result_file(plan.baseline_folder, condition)
        for name, played in [] if rules in outdated else _by_policy(rules):
            found[condition, name, ""] = [(plan.study.seeds[0], played)]
    scores = [
        Score(policy, variant, condition, tuple(seed for seed, _ in runs), tuple(run for _, run in runs))
        for (condition, policy, variant), runs in found.items()
    ]
    order = [*plan.study.variants, ""]
    return sorted(scores, key=lambda score: (order.index(score.variant), "sampled" in score.policy))


def write_csv(path: Path, scores: Iterable[Score]) -> None:
    """Write one row per policy, seed and scenario; a baseline has no seed."""
    scores = list(scores)
    metrics = list(dict.fromkeys(name for s in scores for name in s.episodes[0][0].metrics))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *metrics])
        for score in scores:
            for seed, run in zip(score.seeds, score.episodes, strict=True):
                for e in run:
                    whose = (score.condition, score.policy, score.variant, seed if score.variant else "")
                    how = (
                        e.scenario,
                        e.episode_return,
                        e.ticks,
                        e.survived,
                        int(e.terminated),
                        e.interventions,
                    )
                    writer.writerow([*whose, *how, *(e.metrics.get(name, "") for name in metrics)])


def _by_policy(path: Path) -> list[tuple[str, tuple[Episode, ...]]]:
    if not path.exists():
        return []
    found: dict[str, list[Episode]] = {}
    for document in json.loads(path.read_text(encoding="utf-8"))["episodes"]:
        episode = Episode(**document)
        found.setdefault(episode.policy, []).append(episode)
    return [(name, tuple(sorted(run, key=lambda e: e.scenario))) for name, run in found.items()]
