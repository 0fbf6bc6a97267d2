"""After training: bind the saved policies, evaluate them, write report and model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from launch.card import write_card
from launch.display import Display
from launch.held_out import evaluator_settings
from launch.program import Kind, Node
from launch.report import write_report
from launch.restart import NEVER
from launch.run_folder import RunFolder
from launch.spec import LaunchSpec
from launch.step import run_step
from simulator.held_out import may_have_met

INTERRUPTED = 130  # exit code after Ctrl-C


def after_training(spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, display: Display) -> int:
    """Evaluate what was learned and write the report; the nodes have ended, the machine is free.

    Returns:
        the exit code of the run: that of the evaluation.
    """
    settings = evaluator_settings(spec, agents)
    folder.settings("evaluator").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    code = 0
    if settings["learners"] or settings["baselines"] or (settings.get("loads") and settings["policies"]):
        display.say(_what_is_done(spec, settings["options"]))
        # A process of its own: the evaluator needs torch, and the machine its memory back afterwards.
        node = Node("evaluator", Kind.EXTRA, "launch.evaluation", (str(folder.path),), NEVER)
        code = run_step(node, folder, display)
        if code == INTERRUPTED:
            return code
    write_card(folder.path)
    console = Console()
    path = write_report(folder.path, console)
    display.say(f"report: {path}")
    return code


def _what_is_done(spec: LaunchSpec, options: Mapping[str, Any]) -> str:
    if spec.evaluator is None:
        return "binding the saved policies"
    training = spec.simulator.options
    met = may_have_met(spec.simulator.grid, training, {**training, **options})
    return f"evaluating on {'scenarios that training may have met' if met else 'held-out scenarios'}"
