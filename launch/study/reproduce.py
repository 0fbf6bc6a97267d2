"""Train a row of a study again and compare: the same tensors, and the same return in every episode?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from launch.errors import LaunchError
from launch.evaluation import RESULTS
from launch.study.rows import Plan, Row, State
from launch.study.study import slug
from launch.study.training import train


@dataclass(frozen=True)
class Comparison:
    """What differs between two trainings of the same row."""

    policies: int
    other_policies: tuple[str, ...]  # agents whose tensors differ
    episodes: int
    other_episodes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Return whether nothing differs."""
        return not (self.other_policies or self.other_episodes)

    def __str__(self) -> str:
        policies = (
            f"{self.policies - len(self.other_policies)} of {self.policies} policies have the same SHA-256"
        )
        episodes = f"{self.episodes - len(self.other_episodes)} of {self.episodes} episodes the same return"
        others = "; ".join((*self.other_policies, *self.other_episodes))
        return f"{policies}, {episodes}" + (f"; different: {others}" if others else "")


def train_again(plan: Plan, variant: str, seed: int, say: Callable[[str], None]) -> Comparison:
    """Train a finished row anew in a folder of its own, and compare.

    Raises:
        LaunchError: there is no such row, it is not finished, or it fails this time.
    """
    row = plan.row(variant, seed)
    if plan.state(row) is not State.DONE:
        msg = f"{row}: is not finished in {plan.folder}, so there is nothing to compare with; train it first"
        raise LaunchError(msg)
    again = replace(row, folder=plan.folder / "again" / slug(variant) / f"seed_{seed}")
    if train([again], plan.launch_file, 1, say):
        msg = f"{row}: failed when trained again, see {again.folder.with_suffix('.log')}"
        raise LaunchError(msg)
    return compare(row, again)


def compare(first: Row, second: Row) -> Comparison:
    """Compare two finished runs, policy by policy and episode by episode."""
    one, two = _policies(first.folder), _policies(second.folder)
    once, twice = _returns(first.folder), _returns(second.folder)
    return Comparison(
        policies=len(one),
        other_policies=tuple(sorted(name for name in {*one, *two} if one.get(name) != two.get(name))),
        episodes=len(once),
        other_episodes=tuple(sorted(name for name in {*once, *twice} if once.get(name) != twice.get(name))),
    )


def _policies(folder: Path) -> dict[str, str]:
    manifest = json.loads((folder / "models" / "manifest.json").read_text(encoding="utf-8"))
    return {entry["agent"]: entry["policy_sha256"] for entry in manifest["agents"]}


def _returns(folder: Path) -> dict[str, float]:
    episodes = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["episodes"]
    return {f"{e['policy']} in scenario {e['scenario']}": e["episode_return"] for e in episodes}
