"""A study's report from what its folder holds: results.csv, table.md, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from launch.references import NOTES
from launch.report_data import timings
from launch.study import figures, table
from launch.study.page import NOT_RUN
from launch.study.provenance import machine
from launch.study.rows import Plan, Row, State
from launch.study.scores import Score, read_scores, write_csv
from launch.study.training import read_record


@dataclass(frozen=True)
class Report:
    """What a study shows."""

    text: str  # Markdown
    pictures: dict[str, bytes]  # PNG by name
    missing: list[Row]


def make_report(plan: Plan, command: str) -> Report:
    """Read what is there, write results.csv, table.md and pictures into the study's folder.

    Args:
        plan: the study.
        command: that makes the table.

    Raises:
        LaunchError: a finished run has another configuration than the study asks for.
    """
    rows = list(plan.rows())
    done = [row for row in rows if plan.state(row) is State.DONE]
    missing = [row for row in rows if row not in done]
    scores = read_scores(plan, done)
    if not done:
        return Report(NOT_RUN, {}, missing)
    study = plan.study
    body = table.cross_table(study, scores) if study.conditions else table.results_table(study, scores)
    times = [found[0] for row in done if (found := timings(row.folder))]
    parts = [body, table.provenance(study, command, [read_record(row) for row in done], times, machine())]
    if missing:
        parts.append(f"- not there yet: {'; '.join(map(str, missing))}\n")
    parts += [f"- {rule} {NOTES[rule]}\n" for rule in study.baselines if rule in NOTES]
    if study.notes:
        parts.append(f"\n{study.notes.strip()}\n")
    pictures = _pictures(plan, done, scores)
    text = "\n".join(parts[:2]) + "".join(parts[2:])
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_csv(plan.folder / "results.csv", scores)
    (plan.folder / "table.md").write_text(text, encoding="utf-8")
    for name, png in pictures.items():
        (plan.folder / f"{name}.png").write_bytes(png)
    return Report(text, pictures, missing)


def _pictures(plan: Plan, done: list[Row], scores: list[Score]) -> dict[str, bytes]:
    folders: dict[str, list[Path]] = {}
    for row in done:
        folders.setdefault(row.variant, []).append(row.folder)
    found = {"curves": figures.learning_curves(folders)}
    if not plan.study.conditions:
        found["profile"] = figures.profile(scores)
    return {name: png for name, png in found.items() if png is not None}
