"""`chorus eval`: play a run's policies and the baselines on held-out scenarios, and write the report anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """Examples:

\b
  chorus eval runs/latest                      as the launch file said
  chorus eval runs/latest --episodes 50        more scenarios
  chorus eval runs/latest --sampled            also with actions drawn from the policies
"""


@app.command(epilog=EXAMPLES)
def evaluate(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run.")],
    episodes: Annotated[int | None, typer.Option(min=1, help="Scenarios; default: as the run had.")] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Also draw actions from the policies.")] = False,
) -> None:
    """Play a run's policies and the baselines on held-out scenarios, and write its report anew."""
    from rich.console import Console

    from agents.errors import AgentsError
    from launch import evaluation
    from launch.errors import LaunchError
    from launch.report import write_report
    from simulator.errors import SimulatorError

    try:
        settings = evaluation.read_settings(run_dir)
        if episodes is not None:
            settings["episodes"] = episodes
        if sampled and "sampled" not in settings["policies"]:
            settings["policies"].append("sampled")
        path = run_dir / "nodes" / "evaluator.json"
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        evaluation.evaluate(run_dir, typer.echo)
        typer.echo(f"report: {write_report(run_dir, Console())}")
    except (LaunchError, SimulatorError, AgentsError) as error:
        typer.echo(f"chorus eval: {error}", err=True)
        sys.exit(1)
