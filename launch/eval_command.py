"""`chorus eval`: play a run's policies and the baselines on held-out scenarios, and write the report anew."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """Examples:

\b
  chorus eval runs/latest                      as the launch file, or the latest evaluation, said
  chorus eval runs/latest --episodes 50        more scenarios
  chorus eval runs/latest --sampled            also with actions drawn from the policies
  chorus eval runs/latest --seed 7 --baselines do_nothing,pi_agc
  chorus eval runs/latest simulator.scada.default.measurement.loss=0.2 --out lossy.json
"""


RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[key=value ...]",
        help="Laid over the run's config.yaml: keys of evaluator, simulator.scada, simulator.options, "
        "simulator.smoothing.",
        show_default=False,
    ),
]
Episodes = Annotated[int | None, typer.Option(min=1, help="Scenarios; default: as the run had.")]
Sampled = Annotated[bool, typer.Option("--sampled", help="Also draw actions from the policies.")]
Baselines = Annotated[str | None, typer.Option(metavar="A,B", help="These rules instead; '' for none.")]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Of the scenarios, as evaluator.seed; default: as the run had.")
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the episodes there, and leave the run as it is.")
]


@app.command(epilog=EXAMPLES)
def evaluate(
    run_dir: RunDir,
    words: Words = None,
    episodes: Episodes = None,
    sampled: Sampled = False,
    baselines: Baselines = None,
    seed: Seed = None,
    out: Out = None,
) -> None:
    """Play a run's policies and the baselines on held-out scenarios, and write its report anew."""
    from agents.errors import AgentsError
    from launch.errors import LaunchError
    from simulator.errors import SimulatorError

    try:
        settings = _settings(run_dir, words or [], out)
        if episodes is not None:
            settings["episodes"] = episodes
        if sampled and "sampled" not in settings["policies"]:
            settings["policies"].append("sampled")
        if baselines is not None:
            settings["baselines"] = _rules(baselines)
        if seed is not None:
            settings["seed"] = _scenarios(seed)
        if out is None:
            _evaluate_anew(run_dir, settings)
        else:
            _evaluate_apart(run_dir, settings, out)
    except (LaunchError, SimulatorError, AgentsError) as error:
        typer.echo(f"chorus eval: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))


def _evaluate_anew(run_dir: Path, settings: dict[str, Any]) -> None:
    """Replace the run's results, card and report."""
    from rich.console import Console

    from agents.files import write_atomically
    from launch import evaluation
    from launch.card import write_card
    from launch.report import write_report

    _play(run_dir, settings, None)
    path = run_dir / evaluation.SETTINGS  # what the next evaluation does if it is told nothing else
    write_atomically(path, (json.dumps(settings, indent=2) + "\n").encode())
    write_card(run_dir)
    typer.echo(f"report: {write_report(run_dir, Console())}")


def _evaluate_apart(run_dir: Path, settings: dict[str, Any], out: Path) -> None:
    from launch.errors import LaunchError

    if not (out.parent.is_dir() and os.access(out.parent, os.W_OK)) or out.is_dir():
        msg = f"--out {out}: cannot be written; choose a file in a folder that is there and yours"
        raise LaunchError(msg)
    _play(run_dir, settings, out)
    typer.echo(f"episodes: {out}")


def _play(run_dir: Path, settings: dict[str, Any], out: Path | None) -> None:
    """Play and write down the episodes; what was written before stays if there are none."""
    from launch import evaluation
    from launch.errors import LaunchError

    pictures = run_dir / evaluation.PICTURES if out is None else None
    played = evaluation.play_all(run_dir, typer.echo, settings, pictures)
    if not played:
        agents = [*settings["learners"], *settings.get("loads", {})]
        msg = (
            f"{run_dir}: nothing was played, of policies {settings['policies']} of agents {agents} and "
            f"baselines {settings['baselines']}; name rules that fit the grid with --baselines, or policies "
            "with evaluator.policies=[deterministic]"
        )
        raise LaunchError(msg)
    evaluation.write_results(out or run_dir / evaluation.RESULTS, settings, played)


def _settings(run_dir: Path, words: list[str], out: Path | None) -> dict[str, Any]:
    """Return what to evaluate: as it was said last, or as the run's config.yaml and `words` say."""
    from launch import evaluation
    from launch.errors import LaunchError
    from launch.held_out import settings_under, with_something_to_play

    if not words and (run_dir / evaluation.SETTINGS).exists():
        return with_something_to_play(evaluation.read_settings(run_dir))
    if out is None and any(word.startswith("simulator.") for word in words):
        msg = "another grid or link than the run's is no result of the run; give --out FILE"
        raise LaunchError(msg)
    settings = settings_under(run_dir, words)
    if out is None:
        del settings["simulator"]
    return with_something_to_play(settings)


def _rules(text: str) -> list[str]:
    from launch.errors import LaunchError
    from launch.references import REFERENCES
    from launch.suggest import did_you_mean

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in REFERENCES:
            msg = f"--baselines: there is no {name!r}, {did_you_mean(name, REFERENCES)}"
            raise LaunchError(msg)
    return names


def _scenarios(seed: int) -> int:
    from launch.seeds import held_out_seed

    return held_out_seed(seed)
