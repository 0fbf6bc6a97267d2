"""A grid's description in JSON, for those who know it only from messages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.errors import SimulatorError
from simulator.frame import GridSpec


def spaces_json(spec: GridSpec) -> str:
    """Return agent -> {"observation": ..., "action": ...}; an infinite bound is null."""
    return json.dumps(
        {
            agent: {
                "observation": _space(spec.observation_spaces[agent]),
                "action": _space(spec.action_spaces[agent]),
            }
            for agent in spec.agents
        }
    )


def features_json(spec: GridSpec) -> str:
    """Return names and units of the state, of every agent's observation and actions, and of metrics."""
    return json.dumps(
        {
            "state": list(zip(spec.state_names, spec.state_units, strict=True)),
            "agents": {
                agent: {
                    "observation": list(
                        zip(spec.observation_names[agent], spec.observation_units[agent], strict=True)
                    ),
                    "action": list(spec.action_names[agent]),
                }
                for agent in spec.agents
            },
            "metrics": list(spec.metric_names),
        }
    )


def _space(space: spaces.Space[NDArray[np.generic]]) -> dict[str, Any]:
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "multidiscrete", "nvec": [int(n) for n in space.nvec]}
    if isinstance(space, spaces.Box):
        return {"kind": "box", "low": _bounds(space.low), "high": _bounds(space.high)}
    msg = f"action space {space} cannot be described; expected Discrete, MultiDiscrete or Box"
    raise SimulatorError(msg)


def _bounds(values: NDArray[np.generic]) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values.astype(np.float64).ravel()]
