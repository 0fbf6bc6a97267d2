"""The fixed description of a microgrid as a grid of agents."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from simulator.frame import GridSpec
from simulator.microgrid.observe import FEATURES, LIMIT, feature_scales, state_columns
from simulator.microgrid.options import Options
from simulator.microgrid.seats import Seats, dg_names
from simulator.microgrid.setpoints import Setpoints
from simulator.microgrid.types import System

METRICS = ("voltage_min_pu", "voltage_max_pu", "buses_in_band", "frequency_hz")


def seen_dgs(seats: Seats, options: Options) -> tuple[tuple[int, ...], ...]:
    """Return, per agent, the DGs whose features it sees: its own first, then its neighbours'."""
    if options.observation == "own":
        return seats.members
    return tuple(
        (*own, *(dg for agent in near for dg in seats.members[agent]))
        for own, near in zip(seats.members, seats.neighbours, strict=True)
    )


def describe(
    name: str,
    system: System,
    seats: Seats,
    setpoints: Setpoints,
    options: Options,
    n_envs: int,
    partition: str,
) -> GridSpec:
    """Return the description.

    Args:
        name: of the grid.
        system: its constants.
        seats: its agents.
        setpoints: how their actions are read.
        options: in force.
        n_envs: E.
        partition: JSON text of the partition in force, or empty.
    """
    dgs, agents = dg_names(system.n_dg), seats.names
    seen = dict(zip(agents, seen_dgs(seats, options), strict=True))
    members = dict(zip(agents, seats.members, strict=True))
    units = tuple(scale.text for scale in feature_scales(system))
    columns = state_columns(system)
    near = {a: tuple(agents[k] for k in row) for a, row in zip(agents, seats.neighbours, strict=True)}
    return GridSpec(
        name=name,
        agents=agents,
        n_envs=n_envs,
        dt_s=options.tick_s,
        state_names=tuple(column for column, _ in columns),
        state_units=tuple(scale.text for _, scale in columns),
        observation_names={a: tuple(f"{dgs[k]}/{f}" for k in seen[a] for f in FEATURES) for a in agents},
        observation_units={a: units * len(seen[a]) for a in agents},
        observation_spaces={
            a: spaces.Box(-LIMIT, LIMIT, (len(FEATURES) * len(seen[a]),), np.float32) for a in agents
        },
        action_spaces={a: setpoints.space(len(members[a])) for a in agents},
        action_names={a: setpoints.names(tuple(dgs[k] for k in members[a])) for a in agents},
        metric_names=METRICS,
        neighbours=near,
        partition=partition,
        options=options.as_json(),
    )
