"""Agents that learn in a counting world, alone or beside a hand of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.node import STOPPED, AgentNode
from agents.settings import AgentSettings
from simulator.link_config import LinkConfig
from simulator.world import World
from tests.grids import CounterGrid
from tests.simulation import Simulation, Worker

STEPS = 8  # of a rollout


def small(units: int) -> dict[str, Any]:
    return {"net_arch": {"pi": [units], "vf": []}}


def simulation(*hands: str, **settings: Any) -> Simulation:
    return Simulation(World(CounterGrid(length=7), LinkConfig()), *hands, **settings)


def training(folder: Path | None = None, **changes: Any) -> AgentSettings:
    values = {
        "n_steps": STEPS,
        "updates": 2,
        "checkpoint_every": 1,
        "hyperparameters": {"n_epochs": 1, "batch_size": 24, "policy_kwargs": small(8)},
        "critic": {"mode": "independent", "hidden": [8], "epochs": 1},
        "run_dir": None if folder is None else str(folder),
        "seed": 3,
    }
    return AgentSettings(**{**values, **changes})


def start(world: Simulation, agent: str, settings: AgentSettings, name: str | None = None) -> Worker:
    return world.start(name or agent, lambda node: AgentNode(node, settings, agent).run())


def train(folder: Path, **changes: Any) -> None:
    """Let `left` learn beside `right`, who does nothing, until both have left."""
    settings = training(folder, **changes)
    ticks = settings.n_steps * settings.updates
    with simulation() as world:
        workers = [
            start(world, "left", settings),
            start(world, "right", AgentSettings(baseline="do_nothing", max_ticks=ticks)),
        ]
        assert [worker.end() for worker in workers] == [0, 0]
        assert world.simulator.end() == 0


def stop_after_one_update(settings: AgentSettings) -> None:
    """Let `left` learn once beside a hand of the test, and stop it in its second rollout."""
    with simulation("right") as world:
        worker = start(world, "left", settings)
        right = world.hands["right"]
        for tick in range(STEPS + 3):
            right.await_tick(tick), right.act(tick)
        right.await_tick(STEPS + 3)
        worker.node.stop()
        assert worker.end() == STOPPED
