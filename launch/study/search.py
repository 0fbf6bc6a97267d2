"""Searches for hyperparameters: the space that trials are drawn from, what they are, and their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import Field

from agents.statistics import Estimate, crossed_bootstrap, interquartile_mean
from launch.arguments import parse_overrides
from launch.errors import Fault, LaunchFileError
from launch.evaluation import read_results
from launch.launch_file import read_launch_file
from launch.spec import Name, Positive, Section
from launch.study.rows import Plan, State
from launch.study.study import Overrides, Scenarios, Study, read_as, reserved

OWN = "launch file"  # the trial that has the launch file's own values
VALIDATION = Scenarios(seed=3000, episodes=64)  # neither training's nor those of the tables


class Search(Section):
    """A search file."""

    name: Name
    launch: str  # a launch file, from the project's folder
    overrides: Overrides = Field(default_factory=dict)  # of all trials
    steps: Positive  # environment steps of a trial
    trials: Positive = 12  # drawn, beside the launch file's own values
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, default=[0])]  # of every trial
    scenarios: Scenarios = VALIDATION
    space: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)
    ]  # argument or dotted key of the launch file -> its values, all as likely


def read_search(path: Path) -> Search:
    """Read a search file.

    Raises:
        LaunchFileError: the file cannot be read, or holds something that a search does not have.
    """
    search, root = read_as(Search, path)
    faults = [
        Fault(root.place((section,)), section, fault)
        for section, keys in (("overrides", search.overrides), ("space", search.space))
        for fault in reserved(keys)
    ]
    if faults:
        raise LaunchFileError(faults)
    return search


def trials_of(search: Search, seed: int) -> Study:
    """Return the trials as a study's variants: the launch file's own values, then draws of a seed."""
    rng = np.random.default_rng(seed)
    draws = {OWN: Overrides()}
    for number in range(1, search.trials + 1):
        draws[f"trial {number}"] = {
            key: values[rng.integers(len(values))] for key, values in search.space.items()
        }
    return Study(
        name=search.name,
        launch=search.launch,
        overrides=search.overrides,
        variants=draws,
        seeds=search.seeds,
        scenarios=search.scenarios,
        policies=["deterministic"],
    )


def with_steps(plan: Plan, steps: int) -> Plan:
    """Return the plan with as many rollouts in every trial as make `steps` environment steps.

    Raises:
        LaunchFileError: what is asked of a trial is wrong.
    """
    variants = {}
    for name, own in plan.study.variants.items():
        spec, _ = plan.spec(plan.row(name, plan.study.seeds[0]))
        per_rollout = spec.agents.n_steps * spec.simulator.n_envs
        variants[name] = {**own, "agents.updates": max(1, round(steps / per_rollout))}
    return replace(plan, study=plan.study.model_copy(update={"variants": variants}))


@dataclass(frozen=True)
class Score:
    """What a trial is worth."""

    returns: Estimate  # interquartile mean over seeds and scenarios
    survived: float  # mean share of the episodes' ticks


def scores(plan: Plan) -> dict[str, Score]:
    """Return the score of every trial that is done, the highest return first."""
    found = {}
    for name in plan.study.variants:
        rows = [plan.row(name, seed) for seed in plan.study.seeds]
        if all(plan.state(row) is State.DONE for row in rows):
            played = [read_results(row.folder) for row in rows]
            returns = [[episode.episode_return for episode in run] for run in played]
            survived = float(np.mean([[episode.survived for episode in run] for run in played]))
            found[name] = Score(crossed_bootstrap(interquartile_mean, returns), survived)
    return dict(sorted(found.items(), key=lambda item: item[1].returns.value, reverse=True))


def table(plan: Plan, space: Mapping[str, list[Any]], found: Mapping[str, Score]) -> str:
    """Return the trials as a Markdown table.

    Args:
        plan: the trials.
        space: what they were drawn from.
        found: their scores.
    """
    lines = [f"| trial | return | survived | {' | '.join(key.rpartition('.')[2] for key in space)} |"]
    lines.append("| --- " * (len(space) + 3) + "|")
    for name, score in found.items():
        chosen = own_values(plan, space) if name == OWN else plan.study.variants[name]
        values = " | ".join(_written(chosen[key]) for key in space)
        lines.append(f"| {name} | {score.returns} | {score.survived:.0%} | {values} |")
    return "\n".join(lines)


def own_values(plan: Plan, keys: Iterable[str]) -> dict[str, Any]:
    """Return the launch file's own values of arguments and dotted keys; None where it says nothing."""
    words = plan.row(OWN, plan.study.seeds[0]).words
    tree = read_launch_file(plan.launch_file, parse_overrides(words))
    found = {}
    for key in keys:
        value = tree.values if key in tree.values else tree.root.plain()
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[key] = value
    return found


def _written(value: Any) -> str:
    if value is None:
        return "the default"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
