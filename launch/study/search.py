"""Searches for hyperparameters: the space that trials are drawn from, what they are, and how they did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from agents.statistics import interquartile_mean
from launch.arguments import parse_overrides
from launch.errors import Fault, LaunchError, LaunchFileError
from launch.held_out import evaluator_settings
from launch.imports import ROOT
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.report_data import timings
from launch.spec import LaunchSpec, Name, Positive, Section
from launch.study import table
from launch.study.rows import Plan, Row, State
from launch.study.scores import read_scores
from launch.study.study import Overrides, Scenarios, Study, read_as, reserved, twice
from launch.study.training import read_record
from launch.yaml_tree import Entry
from simulator.held_out import n_scenarios

OWN = "launch file"  # the trial that has the launch file's own values
VALIDATION = Scenarios(seed=3000, episodes=64)  # where a seed draws scenarios, nobody else's
SEEDS = [10]  # none of the studies'

# What a search decides for all its trials.
RESERVED = {
    "seed": "set its `seeds`",
    "updates": "set its `steps` (--steps)",
    "agents.updates": "set its `steps` (--steps)",
    "evaluator.seed": "set its `scenarios.seed`",
    "evaluator.episodes": "set its `scenarios.episodes`",
    "evaluator.policies": "trials are compared by their most likely actions",
    "evaluator.baselines": "trials are compared with each other",
    "evaluator.metrics": "trials are compared by their returns",
}


class Search(Section):
    """A search file."""

    name: Name
    launch: str  # a launch file, from the project's folder
    overrides: Overrides = Field(default_factory=dict)  # of all trials
    steps: Positive  # environment steps of a trial
    trials: Positive = 12  # drawn, beside the launch file's own values
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, default=SEEDS)]  # of every trial
    scenarios: Scenarios = VALIDATION
    space: Annotated[dict[str, Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)]
    """argument or dotted key of the launch file -> its values, all as likely"""


def read_search(path: Path) -> Search:
    """Read a search file.

    Raises:
        LaunchFileError: the file cannot be read, holds something that a search does not have, or a value
            that the launch file cannot have.
    """
    search, root = read_as(Search, path)
    faults = [
        Fault(root.place((section,)), section, fault)
        for section, keys in (("overrides", search.overrides), ("space", search.space))
        for fault in reserved(keys, "search", RESERVED)
    ]
    faults += [Fault(root.place(("seeds",)), "seeds", fault) for fault in twice(search.seeds)]
    if not faults:
        faults = [
            fault
            for key, values in search.space.items()
            for value in values
            for fault in _faults(search, root, key, value)
        ]
    if faults:
        raise LaunchFileError(faults)
    return search


def _faults(search: Search, root: Entry, key: str, value: Any) -> list[Fault]:
    """Return what is wrong with one value of the space."""
    laid = {**search.overrides, key: value}
    words = [f"{name}={json.dumps(one)}" for name, one in laid.items()]
    try:
        checked(read_launch_file(ROOT / search.launch, parse_overrides(words)).root)
    except LaunchFileError as error:
        return [Fault(root.place(("space", key)), f"space.{key}", fault.text) for fault in error.faults]
    return []


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
        metrics=["survived"],
    )


def refuse_on_top(search: Search, keys: Iterable[str]) -> None:
    """Raise LaunchError if the command line says what a search draws, or decides itself."""
    keys = list(keys)
    faults = reserved(keys, "search", RESERVED)
    faults += [f"{key} is drawn in this search: change its space" for key in keys if key in search.space]
    if faults:
        raise LaunchError("; ".join(faults))


def with_steps(plan: Plan, steps: int) -> Plan:
    """Return the plan with as many rollouts in every trial as come closest to `steps` environment steps.

    Raises:
        LaunchFileError: what is asked of a trial is wrong.
        LaunchError: nobody learns, or the scenarios are those of the launch file's own evaluation.
    """
    variants = {}
    for name, own in plan.study.variants.items():
        spec, agents = plan.spec(plan.row(name, plan.study.seeds[0]))
        _refuse(plan, spec, agents)
        per_rollout = spec.agents.n_steps * spec.simulator.n_envs
        variants[name] = {**own, "agents.updates": max(1, round(steps / per_rollout))}
    return replace(plan, study=plan.study.model_copy(update={"variants": variants}))


def _refuse(plan: Plan, spec: LaunchSpec, agents: tuple[str, ...]) -> None:
    settings = evaluator_settings(spec, agents)
    if not settings["learners"]:
        msg = f"{plan.study.name}: nobody learns in {plan.launch_file}, so that there is nothing to search"
        raise LaunchError(msg)
    listed = n_scenarios(spec.simulator.grid, {**spec.simulator.options, **settings["options"]})
    laid = {**plan.study.overrides, **plan.on_top}
    if listed is not None and not any(key.startswith("evaluator.options") for key in laid):
        msg = (
            f"{plan.study.name}: {plan.launch_file} lists the {listed} scenarios that it is evaluated on, "
            "and a search would spoil them: give others, as evaluator.options in the search's overrides"
        )
        raise LaunchError(msg)


def report(plan: Plan, search: Search, command: str) -> tuple[str, list[str]]:
    """Return the trials that are done as Markdown, the highest return first, and those that are not.

    Args:
        plan: the trials.
        search: what they were drawn from.
        command: that makes the table.
    """
    done = {name: rows for name in plan.study.variants if (rows := _done(plan, name))}
    missing = [name for name in plan.study.variants if name not in done]
    if not done:
        return "", missing
    scores = read_scores(plan, [row for rows in done.values() for row in rows])
    scores.sort(key=lambda score: interquartile_mean(score.returns), reverse=True)
    values = {name: own_values(plan, name, search.space) for name in done}
    times = [found[0] for rows in done.values() for row in rows if (found := timings(row.folder))]
    records = {name: [read_record(row) for row in rows] for name, rows in done.items()}
    source = table.provenance(plan.study, command, records, times)
    laid = f"- all trials: `{json.dumps(search.overrides)}`\n" if search.overrides else ""
    return f"{table.trials_table(scores, values)}\n{source}{laid}", missing


def _done(plan: Plan, name: str) -> Sequence[Row]:
    """Return the runs of a trial if all are done."""
    rows = [plan.row(name, seed) for seed in plan.study.seeds]
    return rows if all(plan.state(row) is State.DONE for row in rows) else []


def own_values(plan: Plan, name: str, keys: Iterable[str]) -> dict[str, Any]:
    """Return what a trial has of some arguments and dotted keys; None where the launch file says nothing."""
    words = plan.row(name, plan.study.seeds[0]).words
    tree = read_launch_file(plan.launch_file, parse_overrides(words))
    found = {}
    for key in keys:
        value = tree.values if key in tree.values else tree.root.plain()
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[key] = value
    return found
