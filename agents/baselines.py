"""Simple rules that act on the bus in an agent's place; they need no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents import baselines_frequency, baselines_voltage
from agents.description import GridView
from agents.errors import SettingsError

Observations = NDArray[np.float32]
Masks = NDArray[np.bool_]
Starts = NDArray[np.bool_]


class Policy(Protocol):
    """Anything that acts: a rule or a learned policy."""

    def act(self, obs: Observations, mask: Masks | None, starts: Starts) -> NDArray[np.generic]:
        """Choose an action per copy.

        Args:
            obs: (E, d).
            mask: (E, n), True where an action is legal; None without masks.
            starts: (E,), True where an episode begins with this observation.

        Returns:
            (E,) integers or (E, d) floats.
        """
        ...


class DoNothing:
    """Choose action 0, or leave every quantity where it is (0 in the scaled range)."""

    def __init__(self, space: spaces.Space[NDArray[np.generic]]) -> None:
        self._shape = space.shape or ()
        self._dtype = np.float32 if isinstance(space, spaces.Box) else np.int64

    def act(self, obs: Observations, mask: Masks | None, starts: Starts) -> NDArray[np.generic]:  # noqa: ARG002
        """Return zeros."""
        return np.zeros((len(obs), *self._shape), self._dtype)


class RandomPolicy:
    """Choose uniformly: among the legal actions, or in the whole range of every quantity."""

    def __init__(self, space: spaces.Space[NDArray[np.generic]], seed: int) -> None:
        self._space = space
        self._rng = np.random.default_rng(seed)

    def act(self, obs: Observations, mask: Masks | None, starts: Starts) -> NDArray[np.generic]:  # noqa: ARG002
        """Return one random action per copy."""
        if isinstance(self._space, spaces.Box):
            low, high = self._space.low, self._space.high
            drawn: NDArray[np.float32] = self._rng.uniform(low, high, (len(obs), *low.shape)).astype(
                np.float32
            )
            return drawn
        if isinstance(self._space, spaces.MultiDiscrete):
            return self._rng.integers(self._space.nvec, size=(len(obs), len(self._space.nvec)))
        assert isinstance(self._space, spaces.Discrete)
        legal = np.ones((len(obs), int(self._space.n)), np.bool_) if mask is None else mask
        # The largest of independent uniform numbers picks each legal action with equal probability.
        choice: NDArray[np.int64] = np.argmax(self._rng.random(legal.shape) * legal, axis=1)
        return choice


class ReconnectOnly:
    """Reconnect a line that is out as soon as that is legal, the first in the catalogue first.

    Actions are known by their names ("set_line_status <line> +1"), the state of a line by the feature
    "line_<line>.status" (1 connected, 0 out).
    """

    def __init__(self, action_names: Sequence[str], feature_names: Sequence[str]) -> None:
        features = {name: index for index, name in enumerate(feature_names)}
        lines = {
            index: features[f"line_{name.split()[1]}.status"]
            for index, name in enumerate(action_names)
            if name.startswith("set_line_status ") and name.endswith(" +1")
        }
        if not lines:
            msg = (
                f"baseline 'reconnect_only': none of {len(action_names)} actions sets a line's status to +1; "
                "use it on a grid whose agents switch lines"
            )
            raise SettingsError(msg)
        self._actions = np.array(list(lines.keys()))
        self._statuses = np.array(list(lines.values()))

    def act(self, obs: Observations, mask: Masks | None, starts: Starts) -> NDArray[np.generic]:  # noqa: ARG002
        """Return the first legal reconnection of each copy, or 0."""
        wanted = obs[:, self._statuses] < 0.5
        if mask is not None:
            wanted &= mask[:, self._actions]
        chosen: NDArray[np.int64] = np.where(wanted.any(axis=1), self._actions[wanted.argmax(axis=1)], 0)
        return chosen


_RULES: dict[str, Callable[[GridView, int], Policy]] = {
    "do_nothing": lambda view, _: DoNothing(view.action_space),
    "random": lambda view, seed: RandomPolicy(view.action_space, seed),
    "reconnect_only": lambda view, _: ReconnectOnly(view.action_names, view.feature_names),
    "pi_agc": lambda view, _: baselines_frequency.pi_agc(view),
    "pi_agc_usual": lambda view, _: baselines_frequency.pi_agc(view, baselines_frequency.USUAL),
    "pi_agc_forecast": lambda view, _: baselines_frequency.pi_agc(view, baselines_frequency.FORECAST),
    "nominal_setpoint": lambda view, _: baselines_voltage.nominal_setpoint(view),
    "integral_voltage": lambda view, _: baselines_voltage.integral_voltage(view),
    "consensus_voltage": lambda view, _: baselines_voltage.consensus_voltage(view),
}


def make_baseline(name: str, view: GridView, seed: int) -> Policy:
    """Return the rule called `name` (one of `agents.settings.Baseline`) for one agent.

    Raises:
        SettingsError: there is no such rule, or the agent's grid is none that it controls.
    """
    if name not in _RULES:
        msg = f"baseline is {name!r}, expected one of {list(_RULES)}"
        raise SettingsError(msg)
    return _RULES[name](view, seed)
