"""A study's report from what its folder holds: results.csv, table.md, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.statistics import interquartile_mean
from launch.references import NOTES
from launch.report_data import timings
from launch.study import figures, table
from launch.study.playing import due
from launch.study.rows import Plan, Row, State
from launch.study.scores import Score, read_scores, write_csv
from launch.study.training import read_record


@dataclass(frozen=True)
class Report:
    """What a study shows."""

    text: str  # Markdown; empty where nothing is there
    pictures: dict[str, bytes]  # PNG by name
    missing: tuple[str, ...]  # runs and baselines that are not there, or not as the study asks for


def make_report(plan: Plan, command: str) -> Report:
    """Read what is there, write results.csv, table.md and pictures into the study's folder.

    Args:
        plan: the study.
        command: that makes the table.

    Raises:
        LaunchError: a finished run has another configuration than the study asks for.
    """
    rows = list(plan.rows())
    trained = [row for row in rows if plan.state(row) is State.DONE]
    outdated = {job.out for job in due(plan, trained)}
    done = [row for row in trained if all(out.parent != row.folder for out in outdated)]
    missing = [str(row) for row in rows if row not in done]
    missing += ["baselines"] * any(out.parent == plan.baseline_folder for out in outdated)
    if not done:
        return Report("", {}, tuple(missing))
    scores = read_scores(plan, done, outdated)
    text = _text(plan, done, scores, command, missing)
    pictures = _pictures(plan, done, scores)
    write_csv(plan.folder / "results.csv", scores)
    (plan.folder / "table.md").write_text(text, encoding="utf-8")
    for name, png in pictures.items():
        (plan.folder / f"{name}.png").write_bytes(png)
    return Report(text, pictures, tuple(missing))


def _text(plan: Plan, done: list[Row], scores: list[Score], command: str, missing: list[str]) -> str:
    study = plan.study
    body = table.cross_table(study, scores) if study.conditions else table.results_table(study, scores)
    times = [found[0] for row in done if (found := timings(row.folder))]
    variants = dict.fromkeys(row.variant for row in done)
    runs = {name: [read_record(row) for row in done if row.variant == name] for name in variants}
    lines = [table.provenance(study, command, runs, times)]
    if missing:
        lines.append(f"- not there yet: {'; '.join(missing)}\n")
    lines += [f"- {rule} {NOTES[rule]}\n" for rule in study.baselines if rule in NOTES]
    shown = {*study.baselines, *(row.variant for row in done)}
    lines += [f"- {name}: {note.strip()}\n" for name, note in study.notes.items() if name in shown]
    return f"{body}\n{''.join(lines)}"


def _pictures(plan: Plan, done: list[Row], scores: list[Score]) -> dict[str, bytes]:
    if plan.study.conditions:
        picture = _map(plan, scores)
        return {} if picture is None else {"map": picture}
    folders: dict[str, list[Path]] = {}
    for row in done:
        folders.setdefault(row.variant, []).append(row.folder)
    found = {"curves": figures.learning_curves(folders), "profile": figures.profile(scores)}
    return {name: png for name, png in found.items() if png is not None}


def _map(plan: Plan, scores: list[Score]) -> bytes | None:
    losses = {(s.policy, s.condition): -interquartile_mean(s.returns) for s in scores}
    if min(losses.values()) <= 0:
        return None  # shares of a gain say nothing
    policies, conditions = list(dict.fromkeys(s.policy for s in scores)), list(plan.study.conditions)
    table = np.array([[losses.get((p, c), np.nan) for c in conditions] for p in policies])
    return figures.cross_map(policies, conditions, table)
