"""What an agent knows of the grid: read from the GridDescription message, never from the simulator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.errors import AgentsError
from broker.messages import GridDescription


@dataclass(frozen=True)
class GridView:
    """One agent's part of the description."""

    grid: str
    agent: str
    agents: tuple[str, ...]
    epoch: int
    n_envs: int
    dt_s: float
    observation_space: spaces.Box  # of one copy
    action_space: spaces.Space[Any]  # of one copy
    feature_names: tuple[str, ...]
    action_names: tuple[str, ...]
    neighbours: tuple[str, ...]
    masked: bool
    mode: str
    config_sha256: str
    partition: str
    copies_per_scenario: int = 1  # neighbouring copies that meet the same scenario


def view_of(description: GridDescription, agent: str) -> GridView:
    """Return `agent`'s part of the description.

    Raises:
        AgentsError: the grid has no such agent.
    """
    if agent not in description.agents:
        msg = (
            f"agent '{agent}': grid '{description.name}' has no such agent; "
            f"its agents are {list(description.agents)} (set --name)"
        )
        raise AgentsError(msg)
    own = json.loads(description.spaces)[agent]
    features = json.loads(description.features)["agents"][agent]
    observation, action = _space(own["observation"]), _space(own["action"])
    assert isinstance(observation, spaces.Box)
    return GridView(
        grid=description.name,
        agent=agent,
        agents=description.agents,
        epoch=description.epoch,
        n_envs=description.n_envs,
        dt_s=description.dt_s,
        observation_space=observation,
        action_space=action,
        feature_names=tuple(name for name, _ in features["observation"]),
        action_names=tuple(features["action"]),
        neighbours=tuple(json.loads(description.neighbours)[agent]),
        masked=description.masked and isinstance(action, spaces.Discrete),  # quantities have no masks
        mode=description.mode,
        config_sha256=description.config_sha256,
        partition=description.partition,
        copies_per_scenario=copies_per_scenario(description),
    )


def observation_shapes(view: GridView) -> dict[str, tuple[int, ...]]:
    """Return the shapes that the tables of the agent's observations have, if they are there at all."""
    shown = (view.n_envs, *view.observation_space.shape)
    shapes = {"obs": shown, "final_obs": shown}
    if isinstance(view.action_space, spaces.Discrete):
        shapes["mask"] = (view.n_envs, int(view.action_space.n))
    return shapes


def copies_per_scenario(description: GridDescription) -> int:
    """Return how many neighbouring copies of a grid meet the same scenario."""
    return int(json.loads(description.config or "{}").get("copies_per_scenario", 1))


def _space(document: dict[str, Any]) -> spaces.Space[Any]:
    if document["kind"] == "discrete":
        return spaces.Discrete(document["n"])
    if document["kind"] == "multidiscrete":
        return spaces.MultiDiscrete(document["nvec"])
    return spaces.Box(_bounds(document["low"], -np.inf), _bounds(document["high"], np.inf), dtype=np.float32)


def _bounds(values: list[float | None], infinite: float) -> NDArray[np.float32]:
    return np.array([infinite if v is None else v for v in values], np.float32)
