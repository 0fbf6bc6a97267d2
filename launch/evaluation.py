"""Evaluate a run's policies and the baselines on scenarios that were held out, on a grid of its own.

All policies play the same scenarios behind the same SCADA link: copy i of the grid is scenario i, and
its first episode counts. Only oracles (launch.references) play without a link. Run as a
process of its own (`python -m launch.evaluation RUN_DIR`), because it needs torch, which the supervisor
does without.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.errors import AgentsError, SettingsError
from agents.files import write_atomically
from launch.episodes import Episode, Progress, play
from launch.errors import LaunchError
from launch.players import make_policies, make_stage, policy_names
from simulator.errors import NoOracleError, OptionError, SimulatorError
from simulator.held_out import evaluation_options, may_have_met, n_scenarios
from simulator.world import World

RESULTS = "evaluation.json"
TRAINING = "nodes/simulator.json"  # the grid that was trained on
SETTINGS = "nodes/evaluator.json"  # what was evaluated last; a run that was interrupted has none
PICTURES = "pictures"  # one episode of each policy, where the grid can draw itself


def evaluate(
    run_dir: Path, say: Progress, settings: dict[str, Any] | None = None, out: Path | None = None
) -> list[Episode]:
    """Play all scenarios with the run's policies and every baseline, and write down every episode.

    Args:
        run_dir: a run folder.
        say: told what is going on.
        settings: what to evaluate; by default what SETTINGS says.
        out: the file to write; by default the folder's `evaluation.json`, with a picture per policy.

    Raises:
        LaunchError: the folder is no run, or has no saved policies.
        OptionError: the grid has no such options, or no scenarios under them.
    """
    settings = read_settings(run_dir) if settings is None else settings
    results = play_all(run_dir, say, settings, run_dir / PICTURES if out is None else None)
    write_results(out or run_dir / RESULTS, settings, results)
    return results


def play_all(run_dir: Path, say: Progress, settings: dict[str, Any], pictures: Path | None) -> list[Episode]:
    """Play as `evaluate` does, and write nothing but a picture per policy into the folder `pictures`."""
    if settings["learners"]:
        from launch.manifest import bind_models

        bind_models(run_dir, settings["learners"])
        if policy_names(settings) and _may_have_met(run_dir, settings):
            say("training may have met these scenarios: evaluator.options hold none out")
    settings = _without_repeats(run_dir, settings, say)
    results: list[Episode] = []
    for name in policy_names(settings):
        try:
            world, oracle = make_stage(name, _evaluated_grid(run_dir, settings), settings)
        except NoOracleError as error:
            say(f"{name}: left out, {error}")
            continue
        try:
            policies = oracle or make_policies(name, run_dir, settings, world)
            results += play(world, name, policies, settings["max_ticks"], say, settings.get("metrics", ()))
            if pictures is not None:
                _draw(world, pictures / f"{name}.png")
        except SettingsError as error:
            say(f"{name}: left out, {error}")
        except OptionError as error:
            msg = f"{error}{_what_was_laid(run_dir, settings)}"
            raise OptionError(msg) from error
        finally:
            world.close()
    return results


def write_results(path: Path, settings: Mapping[str, Any], episodes: Sequence[Episode]) -> None:
    """Write what was played, and by which settings."""
    document = {"settings": settings, "episodes": [asdict(episode) for episode in episodes]}
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def read_settings(run_dir: Path) -> dict[str, Any]:
    """Return what to evaluate, as the run left it. Raises LaunchError if it is no run."""
    settings = _read(run_dir / SETTINGS)
    training = _training(run_dir)
    options = evaluation_options(training["grid"], training["options"], settings["options"])
    return {**settings, "options": options}  # of a run that was launched before these were laid there


def read_results(run_dir: Path) -> list[Episode]:
    """Return what `evaluate` wrote, or nothing if it never did."""
    path = run_dir / RESULTS
    if not path.exists():
        return []
    return [Episode(**episode) for episode in _read(path)["episodes"]]


def unseen(run_dir: Path) -> bool:
    """Return whether training cannot have met what was evaluated, as far as the folder tells."""
    if not (run_dir / RESULTS).exists() or not (run_dir / TRAINING).exists():
        return True
    return not _may_have_met(run_dir, _read(run_dir / RESULTS)["settings"])


def played_by(run_dir: Path) -> dict[str, Any]:
    """Return the settings that what `evaluate` wrote was played by; none if it never did."""
    path = run_dir / RESULTS
    return dict(_read(path)["settings"]) if path.exists() else {}


def _draw(world: World, path: Path) -> None:
    picture = world.render()
    if picture is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)


def _training(run_dir: Path) -> dict[str, Any]:
    return _read(run_dir / TRAINING)


def _evaluated_grid(run_dir: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the grid that is evaluated on: by default those of training."""
    return settings.get("simulator") or _training(run_dir)


def _may_have_met(run_dir: Path, settings: Mapping[str, Any]) -> bool:
    training = _training(run_dir)
    under = _evaluated_grid(run_dir, settings)["options"]
    return may_have_met(training["grid"], training["options"], {**under, **settings["options"]})


def _without_repeats(run_dir: Path, settings: dict[str, Any], say: Progress) -> dict[str, Any]:
    """Return the settings with no more episodes than the grid lists scenarios: again is nothing new."""
    under = _evaluated_grid(run_dir, settings)
    there = n_scenarios(under["grid"], {**under["options"], **settings["options"]})
    if there is None or settings["episodes"] <= there:
        return settings
    say(f"plays {there} episodes, not {settings['episodes']}: the grid's options list {there} scenarios")
    return {**settings, "episodes": there}


def _what_was_laid(run_dir: Path, settings: Mapping[str, Any]) -> str:
    under = _evaluated_grid(run_dir, settings)
    laid = evaluation_options(under["grid"], under["options"], {})
    if not laid or not laid.items() <= settings["options"].items():
        return ""
    return f"; the evaluator asks for {laid} by itself, for what training leaves out; evaluator.options win"


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); give the folder of a run that has trained"
        raise LaunchError(msg) from error
    return document


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate one run folder; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m launch.evaluation", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a run, e.g. runs/latest")
    arguments = parser.parse_args(argv)
    try:
        evaluate(arguments.run_dir, lambda text: print(text, flush=True))  # noqa: T201
    except (LaunchError, SimulatorError, AgentsError) as error:
        print(f"evaluation: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
