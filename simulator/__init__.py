"""Grids as pure batched functions, and the node that puts any of them on the bus.

import simulator
grid = simulator.make("frequency68", n_envs=64, seed=0)
frame = grid.reset(seed=0)
frame = grid.step({agent: actions for agent in grid.spec.agents})
"""

from simulator.frame import Actions, Frame, GridSpec, Verdict
from simulator.grid import Grid
from simulator.making import agent_names, make, parallel_env
from simulator.world import World

__all__ = [
    "Actions",
    "Frame",
    "Grid",
    "GridSpec",
    "Verdict",
    "World",
    "agent_names",
    "make",
    "parallel_env",
]
