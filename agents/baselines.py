"""Simple rules that act on the bus in an agent's place; they need no torch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

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
    """Reconnect a line whenever that is legal, the first in the catalogue first; else do nothing."""

    def __init__(self, action_names: tuple[str, ...]) -> None:
        self._reconnects = np.array([name.startswith("reconnect") for name in action_names])
        if not self._reconnects.any():
            msg = (
                f"baseline 'reconnect_only': none of {len(action_names)} actions is called 'reconnect ...'; "
                "use it on a grid whose agents switch lines"
            )
            raise SettingsError(msg)

    def act(self, obs: Observations, mask: Masks | None, starts: Starts) -> NDArray[np.generic]:  # noqa: ARG002
        """Return the first legal reconnection of each copy, or 0."""
        if mask is None:
            return np.zeros(len(obs), np.int64)
        first: NDArray[np.int64] = np.argmax(mask & self._reconnects, axis=1)
        return first  # 0, doing nothing, where there is none


def make_baseline(name: str, view: GridView, seed: int) -> Policy:
    """Return the rule called `name` for one agent. Raises SettingsError."""
    match name:
        case "do_nothing":
            return DoNothing(view.action_space)
        case "random":
            return RandomPolicy(view.action_space, seed)
        case "reconnect_only":
            return ReconnectOnly(view.action_names)
    msg = f"baseline is {name!r}, expected 'do_nothing', 'random' or 'reconnect_only'"
    raise SettingsError(msg)
