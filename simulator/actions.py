"""Check actions against a grid's action spaces before they reach the physics."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.errors import ActionError
from simulator.frame import Actions, GridSpec

_SLACK = 1e-6  # float32 rounding of a bound is not out of range


def action_width(space: spaces.Space[NDArray[np.generic]]) -> int:
    """Return the number of columns that one action of `space` takes in a table of floats."""
    return 1 if isinstance(space, spaces.Discrete) else int(np.prod(space.shape or ()))


def checked_actions(spec: GridSpec, actions: Actions) -> dict[str, NDArray[np.generic]]:
    """Return the actions of all agents in the spec's order, each an array of the right type.

    Args:
        spec: the grid's description.
        actions: agent -> (E,) integers for Discrete, (E, d) numbers for Box and MultiDiscrete.

    Raises:
        ActionError: an agent is missing or unknown, or its action is not in its space.
    """
    unknown = sorted(set(actions) - set(spec.agents))
    missing = [agent for agent in spec.agents if agent not in actions]
    if unknown or missing:
        msg = (
            f"grid '{spec.name}': actions for unknown agents {unknown} and none for {missing}; "
            f"expected one for each of {list(spec.agents)}"
        )
        raise ActionError(msg)
    return {agent: checked_action(spec, agent, actions[agent]) for agent in spec.agents}


def checked_action(spec: GridSpec, agent: str, action: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return one agent's action as int64 (Discrete, MultiDiscrete) or float32 (Box). Raises ActionError."""
    space = spec.action_spaces[agent]
    array = np.asarray(action)
    expected = (spec.n_envs, *(space.shape or ()))
    if array.shape != expected:
        raise _error(spec, agent, f"has shape {array.shape}, expected {expected} (copies first)")
    if isinstance(space, spaces.Box):
        return _checked_box(spec, agent, space, array)
    if not np.issubdtype(array.dtype, np.integer):
        raise _error(spec, agent, f"has type {array.dtype}, expected integers")
    top = space.n if isinstance(space, spaces.Discrete) else getattr(space, "nvec")  # noqa: B009
    outside = (array < 0) | (array >= top)
    if outside.any():
        raise _error(spec, agent, f"is {array[outside][0]} in some copy, expected 0 .. {np.max(top) - 1}")
    return array.astype(np.int64)


def _checked_box(
    spec: GridSpec, agent: str, space: spaces.Box, array: NDArray[np.generic]
) -> NDArray[np.float32]:
    if not np.issubdtype(array.dtype, np.number):
        raise _error(spec, agent, f"has type {array.dtype}, expected numbers")
    values = array.astype(np.float32)
    inside = (values >= space.low - _SLACK) & (values <= space.high + _SLACK)  # False for NaN
    if not inside.all():
        worst = values[~inside][0]
        raise _error(
            spec, agent, f"is {worst} in some copy, expected {space.low.min()} to {space.high.max()}"
        )
    return np.clip(values, space.low, space.high)


def _error(spec: GridSpec, agent: str, problem: str) -> ActionError:
    return ActionError(f"grid '{spec.name}': action of {agent} {problem}")
