"""A small run that is over: two agents learned on the synthetic grid, each with a critic of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import simulator
from agents.node import AgentNode
from agents.settings import AgentSettings
from tests.simulation import Simulation

AGENTS = ("block_0", "block_1")
STEPS, UPDATES, COPIES = 8, 2, 2
GRID = """
name: tiny
simulator:
  grid: synthetic
  n_envs: 2
  options: {max_steps: 5}
  scada: {default: {measurement: {delay: {fixed: 1}}}}
"""  # as a launch file says it


def finished_run(folder: Path) -> Path:
    """Train, and leave what a run leaves in its folder."""
    delay = {"default": {"measurement": {"delay": {"fixed": 1}}}}
    training = {"grid": "synthetic", "options": {"max_steps": 5}, "scada": delay, "smoothing": 0.0}
    (folder / "nodes").mkdir(parents=True)
    (folder / "nodes" / "simulator.json").write_text(json.dumps({**training, "n_envs": COPIES}))
    write_evaluator(folder)
    (folder / "config.yaml").write_text("name: tiny\nnote: 5 < 6\n")
    world = simulator.make("synthetic", n_envs=COPIES, scada=delay, max_steps=5)
    small = {"net_arch": {"pi": [8], "vf": []}}
    settings = AgentSettings(
        n_steps=STEPS,
        updates=UPDATES,
        hyperparameters={"n_epochs": 1, "batch_size": 16, "policy_kwargs": small},
        critic={"mode": "independent", "hidden": [8], "epochs": 1},
        checkpoint_every=1,
        run_dir=str(folder),
    )
    with Simulation(world, n_envs=COPIES, run_dir=str(folder)) as simulation:
        workers = [simulation.start(agent, lambda node: AgentNode(node, settings).run()) for agent in AGENTS]
        assert [worker.end() for worker in workers] == [0, 0]
        assert simulation.simulator.end() == 0
    return folder


def write_evaluator(folder: Path, **changes: Any) -> None:
    """Say what is to be evaluated."""
    settings = {
        "episodes": 3,
        "max_ticks": None,
        "policies": ["deterministic", "sampled"],
        "baselines": ["do_nothing", "random", "reconnect_only", "do_nothing"],
        "options": {"max_steps": 9},
        "seed": 17,
        "learners": list(AGENTS),
        "stand_ins": {},
    }
    (folder / "nodes" / "evaluator.json").write_text(json.dumps({**settings, **changes}))
