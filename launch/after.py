"""After training: bind the saved policies, evaluate them, write the report."""

from __future__ import annotations

import json

from rich.console import Console

from launch.display import Display
from launch.program import Kind, Node
from launch.report import write_report
from launch.restart import NEVER
from launch.run_folder import RunFolder
from launch.seeds import Role, held_out_seed, seed_of
from launch.spec import AgentSpec, LaunchSpec
from launch.step import run_step

INTERRUPTED = 130  # exit code after Ctrl-C


def after_training(spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, display: Display) -> int:
    """Evaluate what was learned and write the report; the nodes have ended, the machine is free.

    Returns:
        the exit code of the run: that of the evaluation.
    """
    settings = evaluator_settings(spec, agents)
    folder.settings("evaluator").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    code = 0
    if settings["learners"] or settings["baselines"]:
        display.say("evaluating on held-out scenarios" if spec.evaluator else "binding the saved policies")
        # A process of its own: the evaluator needs torch, and the machine its memory back afterwards.
        node = Node("evaluator", Kind.EXTRA, "launch.evaluation", (str(folder.path),), NEVER)
        code = run_step(node, folder, display)
        if code == INTERRUPTED:
            return code
    console = Console()
    path = write_report(folder.path, console)
    display.say(f"report: {path}")
    return code


def evaluator_settings(spec: LaunchSpec, agents: tuple[str, ...]) -> dict[str, object]:
    """Return what launch.evaluation reads: who learned, who stands in for the others, what to play."""
    own = {name: spec.agents.overrides.get(name, AgentSpec()) for name in agents}
    rules = {name: own[name].baseline or spec.agents.baseline for name in agents}
    train = spec.agents.mode == "train"
    evaluator = spec.evaluator
    return {
        "episodes": evaluator.episodes if evaluator else 0,
        "max_ticks": evaluator.max_ticks if evaluator else None,
        "policies": list(evaluator.policies) if evaluator else [],
        "baselines": list(evaluator.baselines) if evaluator else [],
        "options": dict(evaluator.options) if evaluator else {},
        "metrics": list(evaluator.metrics) if evaluator else [],
        "seed": scenario_seed(spec),
        "learners": [name for name in agents if train and rules[name] is None and not own[name].external],
        "stand_ins": {name: rule for name, rule in rules.items() if rule is not None},
    }


def scenario_seed(spec: LaunchSpec) -> int:
    """Return the seed of the evaluator's grid."""
    if spec.evaluator is None or spec.evaluator.seed is None:
        return seed_of(spec.seed, Role.EVALUATOR)
    return held_out_seed(spec.evaluator.seed)
