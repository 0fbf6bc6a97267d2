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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simulator
from agents.baselines import Policy, Starts, make_baseline
from agents.description import GridView
from agents.errors import AgentsError, SettingsError
from launch.errors import LaunchError
from launch.measures import Running, parse_measures
from launch.references import ORACLES
from simulator.errors import NoOracleError, SimulatorError
from simulator.oracle import Oracle, make_with_oracle
from simulator.world import World

RESULTS = "evaluation.json"
PICTURES = "pictures"  # one episode of each policy, where the grid can draw itself
PROGRESS_S = 5.0
_ENSEMBLE = {"deterministic": "ensemble", "sampled": "ensemble, sampled"}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Episode:
    """How one policy fared in one scenario."""

    policy: str
    scenario: int  # copy of the evaluator's grid
    ticks: int
    limit: int  # ticks of a whole episode
    terminated: bool  # ended before its time
    episode_return: float  # sum over ticks of the mean reward over agents
    interventions: float  # share of agents and ticks with an action other than the grid's fallback
    metrics: Mapping[str, float]  # means over the episode, and the measures that were asked for

    @property
    def survived(self) -> float:
        """Return the share of the episode that was survived, 0 to 1; 1 where it ended in its time."""
        return self.ticks / self.limit if self.terminated else 1.0


def evaluate(
    run_dir: Path, say: Progress, settings: dict[str, Any] | None = None, out: Path | None = None
) -> list[Episode]:
    """Play all scenarios with the run's policies and every baseline, and write down every episode.

    Args:
        run_dir: a run folder.
        say: told what is going on.
        settings: what to evaluate; by default what `nodes/evaluator.json` says.
        out: the file to write; by default the folder's `evaluation.json`, with a picture per policy.

    Raises:
        LaunchError: the folder is no run, or has no saved policies.
    """
    settings = read_settings(run_dir) if settings is None else settings
    if settings["learners"]:
        from launch.manifest import bind_models

        bind_models(run_dir, settings["learners"])
    results: list[Episode] = []
    for name in _policy_names(settings):
        try:
            world, oracle = _stage(name, run_dir, settings)
        except NoOracleError as error:
            say(f"{name}: left out, {error}")
            continue
        try:
            policies = oracle or _policies(name, run_dir, settings, world)
            results += play(world, name, policies, settings["max_ticks"], say, settings.get("metrics", ()))
            if out is None:
                _draw(world, run_dir / PICTURES / f"{name}.png")
        except SettingsError as error:
            say(f"{name}: left out, {error}")
        finally:
            world.close()
    document = {"settings": settings, "episodes": [asdict(episode) for episode in results]}
    path = out or run_dir / RESULTS
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return results


def read_settings(run_dir: Path) -> dict[str, Any]:
    """Return what to evaluate, as the run left it. Raises LaunchError if it is no run."""
    return _read(run_dir / "nodes" / "evaluator.json")


def read_results(run_dir: Path) -> list[Episode]:
    """Return what `evaluate` wrote, or nothing if it never did."""
    path = run_dir / RESULTS
    if not path.exists():
        return []
    return [Episode(**episode) for episode in _read(path)["episodes"]]


def chosen_metrics(run_dir: Path) -> list[str]:
    """Return the metrics that the launch file wants in the report's table."""
    path = run_dir / RESULTS
    return list(_read(path)["settings"].get("metrics", [])) if path.exists() else []


def play(
    world: World,
    name: str,
    policies: Mapping[str, Policy] | Oracle,
    max_ticks: int | None,
    say: Progress,
    measures: Sequence[str] = (),
) -> list[Episode]:
    """Play the first episode of every copy.

    Args:
        world: a fresh grid; its own seed decides the scenarios.
        name: of the policy.
        policies: one per agent, or an oracle for all.
        max_ticks: of an episode; None: to its end.
        say: told how far it is every few seconds.
        measures: figures beside the means of all metrics (launch.measures).

    Raises:
        LaunchError: a measure is not of the form, or the grid's episodes have no end.
    """
    spec = world.spec
    frame = world.reset()
    tally = _Tally(world, name, measures, say)
    starts = np.ones(spec.n_envs, np.bool_)
    said = time.monotonic()
    limit = max_ticks or _limit(world)
    while tally.running.any() and tally.tick < limit:
        actions = _choose(policies, frame, starts)
        resting = {agent: world.fallback(agent) for agent in spec.agents}
        frame = world.step(actions)
        starts = frame.done
        tally.count(frame, resting)
        if time.monotonic() - said > PROGRESS_S:
            said = time.monotonic()
            say(f"{name}: tick {tally.tick} of at most {limit}, {int(tally.running.sum())} episodes go on")
    return tally.episodes(limit)


def _choose(
    policies: Mapping[str, Policy] | Oracle, frame: simulator.Frame, starts: Starts
) -> simulator.Actions:
    if not isinstance(policies, Mapping):
        return policies.act()
    masks = frame.masks or {}
    return {
        agent: policy.act(frame.observations[agent], masks.get(agent), starts)
        for agent, policy in policies.items()
    }


class _Tally:
    """Adds up the first episode of every copy."""

    def __init__(self, world: World, name: str, measures: Sequence[str], say: Progress) -> None:
        n = world.spec.n_envs
        self._world = world
        self._name = name
        self.tick = 0
        self.running = np.ones(n, np.bool_)
        self._ticks = np.zeros(n, np.int64)
        self._terminated = np.zeros(n, np.bool_)
        self._return = np.zeros(n)
        self._acted = np.zeros(n)
        names = world.spec.metric_names
        wanted = [*(m for m in measures if m not in names), *names]
        self._running = [Running.start(measure, n) for measure in parse_measures(wanted, names, say)]

    def count(self, frame: simulator.Frame, resting: simulator.Actions) -> None:
        """Add one tick; `resting` is what the fallback would have done in it."""
        self.tick += 1
        now = self.running
        self._ticks[now] += 1
        self._return[now] += frame.rewards[now].mean(axis=1)
        self._acted += np.where(now, self._interventions(frame, resting), 0.0)
        for running in self._running:
            if running.measure.metric in frame.info:
                running.count(self.tick, frame.info[running.measure.metric], now)
        self._terminated |= now & frame.terminated
        self.running = now & ~frame.done

    def episodes(self, limit: int) -> list[Episode]:
        metrics = {running.measure.text: running.result() for running in self._running}
        return [
            Episode(
                policy=self._name,
                scenario=copy,
                ticks=int(self._ticks[copy]),
                limit=limit,
                terminated=bool(self._terminated[copy]),
                episode_return=float(self._return[copy]),
                interventions=float(self._acted[copy] / self._ticks[copy]),
                metrics={name: float(values[copy]) for name, values in metrics.items()},
            )
            for copy in range(len(self._ticks))
        ]

    def _interventions(self, frame: simulator.Frame, resting: simulator.Actions) -> Any:
        """Return (E,): the share of agents whose applied action is not the fallback."""
        assert frame.applied is not None
        acted = [
            (frame.applied[agent] != resting[agent]).reshape(len(self._ticks), -1).any(axis=1)
            for agent in self._world.spec.agents
        ]
        return np.mean(acted, axis=0)


def _draw(world: World, path: Path) -> None:
    picture = world.render()
    if picture is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)


def _limit(world: World) -> int:
    """Return the ticks of a whole episode, as the grid's options say."""
    for option in ("max_steps", "episode_ticks"):
        value = world.spec.options.get(option)
        if isinstance(value, int):
            return value
    msg = f"grid '{world.spec.name}' has episodes without end; set evaluator.max_ticks"
    raise LaunchError(msg)


def _policy_names(settings: Mapping[str, Any]) -> list[str]:
    ensemble = [_ENSEMBLE[kind] for kind in settings["policies"]] if settings["learners"] else []
    return [*ensemble, *settings["baselines"]]


def _stage(name: str, run_dir: Path, settings: Mapping[str, Any]) -> tuple[World, Oracle | None]:
    """Return the evaluator's own grid, and the oracle where one is to play.

    The grid has the training grid's settings with the evaluator's laid over.
    """
    training = settings.get("simulator") or _read(run_dir / "nodes" / "simulator.json")
    options = {**training["options"], **settings["options"]}
    n_envs, seed = settings["episodes"], settings["seed"]
    if name in ORACLES:
        return make_with_oracle(name, training["grid"], n_envs, seed, **options)
    scada, smoothing = training["scada"], training["smoothing"]
    return simulator.make(training["grid"], n_envs, seed, scada, smoothing, **options), None


def _policies(name: str, run_dir: Path, settings: Mapping[str, Any], world: World) -> dict[str, Policy]:
    seeds = np.random.SeedSequence(settings["seed"]).generate_state(len(world.spec.agents))
    if name not in _ENSEMBLE.values():
        return {
            agent: make_baseline(name, _view(world, agent), int(seed))
            for agent, seed in zip(world.spec.agents, seeds, strict=True)
        }
    from agents.saved_policy import SavedPolicy

    elsewhere = [a for a in world.spec.agents if a not in {*settings["learners"], *settings["stand_ins"]}]
    if elsewhere:
        msg = f"the policies of {elsewhere} are not in this run's folder: these agents are external"
        raise SettingsError(msg)
    deterministic = name == _ENSEMBLE["deterministic"]
    return {
        agent: SavedPolicy.load(run_dir / "models", agent, deterministic=deterministic, seed=int(seed))
        if agent in settings["learners"]
        else make_baseline(settings["stand_ins"][agent], _view(world, agent), int(seed))
        for agent, seed in zip(world.spec.agents, seeds, strict=True)
    }


def _view(world: World, agent: str) -> GridView:
    spec = world.spec
    return GridView(
        grid=spec.name,
        agent=agent,
        agents=spec.agents,
        epoch=0,
        n_envs=spec.n_envs,
        dt_s=spec.dt_s,
        observation_space=spec.observation_spaces[agent],
        action_space=spec.action_spaces[agent],
        feature_names=spec.observation_names[agent],
        action_names=spec.action_names[agent],
        neighbours=tuple(spec.neighbours.get(agent, ())),
        masked=False,
        mode="lockstep",
        config_sha256="",
        partition=spec.partition,
    )


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
