"""Descriptions of a small grid, as agents get them."""

from __future__ import annotations

import json

from agents.description import GridView, view_of
from broker.messages import GridDescription
from simulator.frame import GridSpec

DISCRETE = {"kind": "discrete", "n": 4}
BOX = {"kind": "box", "low": [-1.0, -2.0], "high": [1.0, None]}
MULTI = {"kind": "multidiscrete", "nvec": [2, 5]}


def view_in(spec: GridSpec, agent: str, n_envs: int = 2) -> GridView:
    """Return what an agent knows of a real grid."""
    return GridView(
        grid=spec.name,
        agent=agent,
        agents=spec.agents,
        epoch=0,
        n_envs=n_envs,
        dt_s=spec.dt_s,
        observation_space=spec.observation_spaces[agent],
        action_space=spec.action_spaces[agent],
        feature_names=spec.observation_names[agent],
        action_names=spec.action_names[agent],
        neighbours=spec.neighbours[agent],
        masked=False,
        mode="lockstep",
        config_sha256="",
        partition=spec.partition,
    )


def description(
    action: dict = DISCRETE, mode: str = "lockstep", *, masked: bool = True, actions: tuple[str, ...] = ()
) -> GridDescription:
    names = actions or ("do_nothing", "set_line_status 3_4_5 +1", "set_bus 1", "set_line_status 0_1_0 +1")
    features = [["line_0_1_0.status", "1"], ["rho", "1"], ["line_3_4_5.status", "1"]]
    agents = ("left", "right")
    own = {"observation": {"kind": "box", "low": [None, 0, 0], "high": [None, 1, 1]}, "action": action}
    return GridDescription(
        name="counter",
        epoch=1,
        n_envs=2,
        dt_s=2.0,
        agents=agents,
        spaces=json.dumps(dict.fromkeys(agents, own)),
        features=json.dumps(
            {
                "state": [],
                "metrics": [],
                "agents": {agent: {"observation": features, "action": names} for agent in agents},
            }
        ),
        neighbours=json.dumps({"left": ["right"], "right": []}),
        state_dim=1,
        in_flight_dim=0,
        masked=masked,
        reasons=(),
        partition="",
        config="{}",
        config_sha256="",
        mode=mode,
    )


def view(action: dict = DISCRETE, agent: str = "left", **changes: object) -> GridView:
    return view_of(description(action, **changes), agent)
