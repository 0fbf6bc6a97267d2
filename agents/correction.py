"""A rule whose commands an agent corrects: what is sent is the rule's command plus the agent's action.

Residual policy learning: T. Silver, K. Allen, J. Tenenbaum and L. Kaelbling, 2018, arXiv:1812.06298;
T. Johannink et al., Residual reinforcement learning for robot control, ICRA 2019, arXiv:1812.03201. An
untrained agent acts nearly as the rule does, and learns from there; it is shown the command that it corrects.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.baselines import make_baseline
from agents.description import GridView
from agents.errors import SettingsError

Features = NDArray[np.float32]
Bool = NDArray[np.bool_]


class Correction:
    """The rule, and its command in E copies.

    Args:
        saved: what `rule_to_correct` returned.
        action_space: of one copy.
    """

    def __init__(self, saved: Mapping[str, Any], action_space: spaces.Box) -> None:
        self._rule = make_baseline(saved["rule"], _view(saved["view"], action_space), 0)
        self._low, self._high = action_space.low, action_space.high
        self._command = np.zeros((0, *action_space.shape), np.float32)  # (E, ...)

    def see(self, obs: Features, starts: Bool) -> Features:
        """Return the rule's command (E, n) for observations (E, d); `starts` as for any policy."""
        self._command = self._rule.act(obs, None, starts).astype(np.float32)
        return self._command.reshape(len(obs), -1)

    def last(self, final_obs: Features) -> Features:
        """Return what the rule would command (E, n) at the last observations (E, d) of episodes."""
        nowhere = np.zeros(len(final_obs), np.bool_)
        command = deepcopy(self._rule).act(final_obs, None, nowhere).astype(np.float32)
        return command.reshape(len(final_obs), -1)

    def applied(self, actions: NDArray[np.generic]) -> Features:
        """Return what is sent, (E, ...): the rule's command plus the agent's action, within the range."""
        sent: Features = np.clip(self._command + actions.astype(np.float32), self._low, self._high)
        return sent


def rule_to_correct(name: str, view: GridView) -> dict[str, Any]:
    """Return a rule with what it has to know of an agent's grid, as JSON can hold it.

    Raises:
        SettingsError: the agent's actions are choices, or the rule does not fit its grid.
    """
    if not isinstance(view.action_space, spaces.Box):
        msg = f"agent '{view.agent}': corrects is {name!r}, but choices ({view.action_space}) cannot be added"
        raise SettingsError(msg)
    make_baseline(name, view, 0)
    return {
        "rule": name,
        "view": {
            "grid": view.grid,
            "agent": view.agent,
            "agents": list(view.agents),
            "dt_s": view.dt_s,
            "feature_names": list(view.feature_names),
            "action_names": list(view.action_names),
            "neighbours": list(view.neighbours),
            "partition": view.partition,
        },
    }


def _view(saved: Mapping[str, Any], action_space: spaces.Box) -> GridView:
    names = tuple(saved["feature_names"])
    return GridView(
        grid=saved["grid"],
        agent=saved["agent"],
        agents=tuple(saved["agents"]),
        epoch=0,
        n_envs=1,
        dt_s=saved["dt_s"],
        observation_space=spaces.Box(-np.inf, np.inf, (len(names),)),
        action_space=action_space,
        feature_names=names,
        action_names=tuple(saved["action_names"]),
        neighbours=tuple(saved["neighbours"]),
        masked=False,
        mode="lockstep",
        config_sha256="",
        partition=saved["partition"],
    )
