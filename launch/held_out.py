"""What is evaluated on held-out scenarios, as a launch file says it or under other conditions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.agent_names import agents_of
from launch.arguments import parse_overrides
from launch.errors import Fault, LaunchError, LaunchFileError
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.seeds import Role, held_out_seed, seed_of
from launch.spec import AgentSpec, EvaluatorSpec, LaunchSpec
from simulator.held_out import evaluation_options

CONFIG = "config.yaml"
_CONDITIONS = (
    ("evaluator",),
    ("simulator", "scada"),
    ("simulator", "options"),
    ("simulator", "smoothing"),
)  # what may be different from training


def evaluator_settings(spec: LaunchSpec, agents: tuple[str, ...]) -> dict[str, Any]:
    """Return what launch.evaluation reads: who learned or acts, who stands in for others, what to play.

    Under `evaluator.options` lie those under which the grid plays what training leaves out.
    """
    own = {name: spec.agents.overrides.get(name, AgentSpec()) for name in agents}
    rules = {name: own[name].baseline or spec.agents.baseline for name in agents}
    train = spec.agents.mode == "train"
    evaluator = spec.evaluator
    loads = {} if train else {name: own[name].load or spec.agents.load for name in agents}
    acting = {
        name: load for name, load in loads.items() if load and not rules[name] and not own[name].external
    }
    return {
        "episodes": evaluator.episodes if evaluator else 0,
        "max_ticks": evaluator.max_ticks if evaluator else None,
        "policies": list(evaluator.policies) if evaluator else [],
        "baselines": list(evaluator.baselines) if evaluator else [],
        "options": evaluation_options(
            spec.simulator.grid, spec.simulator.options, evaluator.options if evaluator else {}
        ),
        "metrics": list(evaluator.metrics) if evaluator else [],
        "seed": scenario_seed(spec),
        "learners": [name for name in agents if train and rules[name] is None and not own[name].external],
        "stand_ins": {name: rule for name, rule in rules.items() if rule is not None},
        **({"loads": acting} if acting else {}),  # of agents that only act
    }


def with_something_to_play(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, with the defaults of `evaluator` for a run whose launch file has none."""
    if settings["episodes"]:
        return settings
    usual = EvaluatorSpec()
    return {
        **settings,
        "episodes": usual.episodes,
        "policies": list(usual.policies),
        "baselines": list(usual.baselines),
    }


def scenario_seed(spec: LaunchSpec) -> int:
    """Return the seed of the evaluator's grid."""
    if spec.evaluator is None or spec.evaluator.seed is None:
        return seed_of(spec.seed, Role.EVALUATOR)
    return held_out_seed(spec.evaluator.seed)


def simulator_settings(spec: LaunchSpec) -> dict[str, Any]:
    """Return the grid that is evaluated on, but for what `evaluator.options` lays over it."""
    wanted = spec.simulator
    return {
        "grid": wanted.grid,
        "options": dict(wanted.options),
        "scada": wanted.scada.settings() if wanted.scada else None,
        "smoothing": wanted.smoothing,
    }


def settings_under(run_dir: Path, words: Sequence[str]) -> dict[str, Any]:
    """Return what to evaluate in a run's folder when `key=value` is laid over its configuration.

    Args:
        run_dir: a run folder with its config.yaml.
        words: such as `simulator.scada.default.measurement.loss=0.2` or `evaluator.episodes=50`.

    Raises:
        LaunchError: the folder has no configuration, or a key or value is wrong.
    """
    overrides = parse_overrides(words)
    faults = [
        Fault("command line", ".".join(path), f"is of training; here only {_known()} can be other than then")
        for path in (*overrides.keys, *((name,) for name in overrides.arguments))
        if not any(path[: len(place)] == place for place in _CONDITIONS)
    ]
    if faults:
        raise LaunchFileError(faults)
    file = run_dir / CONFIG
    if not file.exists():
        msg = f"{run_dir}: has no {CONFIG}; give the folder of a run that has trained"
        raise LaunchError(msg)
    tree = read_launch_file(file, overrides)
    spec = checked(tree.root)
    settings = evaluator_settings(spec, agents_of(tree.root, spec))
    return {**settings, "simulator": simulator_settings(spec)}


def _known() -> str:
    return ", ".join(".".join((*place, "...")) for place in _CONDITIONS)
