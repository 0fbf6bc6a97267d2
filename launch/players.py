"""Who plays in an evaluation: saved policies and rules, on a grid of the evaluator's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import simulator
from agents.baselines import Policy, make_baseline
from agents.description import GridView
from agents.errors import SettingsError
from launch.references import ORACLES, SEES
from simulator.oracle import Oracle, make_with_oracle
from simulator.world import World

_ENSEMBLE = {"deterministic": "ensemble", "sampled": "ensemble, sampled"}


def policy_names(settings: Mapping[str, Any]) -> list[str]:
    """Return what is to be played: the ensemble in each of its ways, if there is one, then the rules."""
    ensemble = [_ENSEMBLE[kind] for kind in settings["policies"]] if _policy_paths(Path(), settings) else []
    return [*ensemble, *settings["baselines"]]


def make_stage(
    name: str, training: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[World, Oracle | None]:
    """Return the evaluator's own grid, and the oracle where one is to play.

    Args:
        name: of the policy; a rule may have to see more than agents do.
        training: settings of the grid that was trained on.
        settings: the evaluator's, whose options are laid over.
    """
    options = {**training["options"], **settings["options"]}
    n_envs, seed = settings["episodes"], settings["seed"]
    if name in ORACLES:
        return make_with_oracle(name, training["grid"], n_envs, seed, **options)
    scada, smoothing = training["scada"], training["smoothing"]
    world = simulator.make(training["grid"], n_envs, seed, scada, smoothing, **options)
    sees = SEES.get(name, {})
    if sees.keys() <= world.spec.options.keys() and any(world.spec.options[k] != v for k, v in sees.items()):
        world.close()
        world = simulator.make(training["grid"], n_envs, seed, scada, smoothing, **{**options, **sees})
    return world, None


def make_policies(name: str, run_dir: Path, settings: Mapping[str, Any], world: World) -> dict[str, Policy]:
    """Return the policy of every agent.

    Args:
        name: one of `policy_names`.
        run_dir: where the saved policies are.
        settings: the evaluator's.
        world: the stage.

    Raises:
        SettingsError: the rule does not fit the grid, or an agent's policy is not in the run's folder.
    """
    seeds = np.random.SeedSequence(settings["seed"]).generate_state(len(world.spec.agents))
    if name not in _ENSEMBLE.values():
        return {
            agent: make_baseline(name, _view(world, agent), int(seed))
            for agent, seed in zip(world.spec.agents, seeds, strict=True)
        }
    from agents.saved_policy import SavedPolicy

    paths = _policy_paths(run_dir, settings)
    elsewhere = [a for a in world.spec.agents if a not in {*paths, *settings["stand_ins"]}]
    if elsewhere:
        msg = f"the policies of {elsewhere} are not in this run's folder: these agents are external"
        raise SettingsError(msg)
    deterministic = name == _ENSEMBLE["deterministic"]
    return {
        agent: SavedPolicy.load(paths[agent], agent, deterministic=deterministic, seed=int(seed))
        if agent in paths
        else make_baseline(settings["stand_ins"][agent], _view(world, agent), int(seed))
        for agent, seed in zip(world.spec.agents, seeds, strict=True)
    }


def _policy_paths(run_dir: Path, settings: Mapping[str, Any]) -> dict[str, Path]:
    """Return where the policy of each agent lies: of those that learned in the run, of others as loaded."""
    loaded = {agent: Path(path) for agent, path in settings.get("loads", {}).items()}
    return {**loaded, **dict.fromkeys(settings["learners"], run_dir / "models")}


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
