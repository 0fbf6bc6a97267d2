"""Evaluate what a study trained, and its baselines once, under every condition; what is there is kept."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from launch.evaluation import evaluate
from launch.held_out import evaluator_settings
from launch.study.rows import Json, Plan, Row, recorded_settings, write_config, write_json

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One evaluation."""

    folder: Path
    settings: Json
    out: Path


def refresh(plan: Plan, row: Row) -> Job:
    """Let a trained run's folder ask for what the study asks now, and return the evaluation that is due."""
    spec, agents = plan.spec(row)
    write_config(row.folder, spec)
    settings = evaluator_settings(spec, agents)
    write_json(row.folder / "nodes" / "evaluator.json", settings)
    return Job(row.folder, settings, plan.result_file(row.folder, ""))


def prepare(plan: Plan) -> None:
    """Make the baselines' folder. Raises LaunchError if any condition of the study is wrong."""
    write_config(plan.baseline_folder, plan.baseline_spec()[0])
    for condition in plan.study.cells:
        plan.baseline_settings(condition)


def due(plan: Plan, rows: Sequence[Row]) -> Iterator[Job]:
    """Yield the evaluations of finished runs and of baselines that are not there yet."""
    wanted: list[Job] = []
    if plan.study.baselines:
        prepare(plan)
        folder = plan.baseline_folder
        for condition in plan.study.cells:
            out = plan.result_file(folder, condition)
            wanted.append(Job(folder, plan.baseline_settings(condition), out))
    for row in rows:
        for condition in plan.study.conditions:
            out = plan.result_file(row.folder, condition)
            wanted.append(Job(row.folder, plan.settings(row.folder, condition), out))
    return (job for job in wanted if recorded_settings(job.out) != job.settings)


def play(jobs: Sequence[Job], side_by_side: int, say: Say) -> None:
    """Do evaluations, in processes of their own if there are to be several at a time."""
    if side_by_side == 1:
        for job in jobs:
            say(f"evaluating {job.out.parent.name}/{job.out.name}")
            _work(job)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(side_by_side, mp_context=spawn) as pool:
        for job, _ in zip(jobs, pool.map(_work, jobs), strict=True):
            say(f"evaluated {job.out.parent.name}/{job.out.name}")


def _work(job: Job) -> None:
    evaluate(job.folder, _tell, job.settings, job.out)


def _tell(text: str) -> None:
    """Pass on what is left out of an evaluation; how far it is is not worth a line in a study."""
    if "left out" in text:
        sys.stdout.write(f"{text}\n")
