"""What an agent remembers of its episode: observations and actions of the last ticks, and running sums.

Behind a link that delays and loses measurements, one observation is not the state of anything. With the
actions that are under way it is again (Katsikopoulos and Engelbrecht 2003, doi:10.1109/TAC.2003.809799),
and a running sum of a deviation is what the integral part of a PI controller acts by.

The memory is the agent's own: nothing of it travels, and the world it acts in need not know of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.correction import Correction, rule_to_correct
from agents.description import GridView
from agents.errors import SettingsError
from agents.recipe import MemorySettings, Recipe

CLIP = 10.0  # bound of a running sum, so that it comes back soon after a long deviation

Features = NDArray[np.float32]
Bool = NDArray[np.bool_]


class Memory:
    """Remembers on behalf of E copies at once.

    Args:
        recipe: what features to make.
        action_space: of one copy.
    """

    def __init__(self, recipe: Recipe, action_space: spaces.Space[Any]) -> None:
        self.recipe = recipe
        self._action_space = action_space
        self._action_dim = _action_bounds(action_space)[0].size
        self._now: Features | None = None  # (E, D), what was seen last
        self._sent: Features | None = None  # (E, action_dim), the answer to it
        self._past_columns = np.array([column for column, _ in recipe.past], np.int64)
        self._lags = np.array([lag for _, lag in recipe.past], np.int64)
        self._longest = int(self._lags.max(initial=0))
        self._history: Features | None = (
            None  # (longest, E, n_past), one observation's columns after the other
        )
        self._newest = 0  # row of the history
        self._correction: Correction | None = None
        if recipe.corrects is not None:
            assert isinstance(action_space, spaces.Box)
            self._correction = Correction(recipe.corrects, action_space)

    def space(self, shown: spaces.Box) -> spaces.Box:
        """Return the space of the features, given that of one copy's observations."""
        low, high = _action_bounds(self._action_space)
        k, n, sums = self.recipe.observations, self.recipe.actions, len(self.recipe.columns)
        clip, past = np.full(sums, CLIP, np.float32), self._past_columns
        lows = [np.tile(shown.low, k), np.tile(np.minimum(low, 0), n), -clip, shown.low[past]]
        highs = [np.tile(shown.high, k), np.tile(np.maximum(high, 0), n), clip, shown.high[past]]
        if self._correction is not None:
            lows, highs = [*lows, low], [*highs, high]
        return spaces.Box(np.concatenate(lows), np.concatenate(highs), dtype=np.float32)

    def see(self, obs: Features, starts: Bool) -> Features:
        """Take in an observation, and return it with what is remembered.

        Args:
            obs: (E, d).
            starts: (E,), True where an episode begins with it: the past is forgotten, the first observation
                stands for those before it, actions are 0 and sums begin with it.

        Returns:
            (E, D), the memory's own: do not write into it.
        """
        before = self._now
        if before is None or len(before) != len(obs) or starts.all():
            now = self._first(obs)
        else:
            now = self._next(before, obs)
            if starts.any():
                now[starts] = self._first(obs[starts])
        self._now, self._sent = now, None
        if self._longest:
            self._remember(obs, starts)
        if self._correction is None:
            return now
        return np.concatenate([now, self._correction.see(obs, starts)], axis=1)

    def applied(self, actions: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return what is to be sent: the actions, or the commands that they correct."""
        return actions if self._correction is None else self._correction.applied(actions)

    def acted(self, actions: NDArray[np.generic]) -> None:
        """Take note of what was sent, (E,) or (E, ...), as the answer to what was seen last."""
        if self.recipe.actions:
            self._sent = self._encoded(actions)

    def last(self, final_obs: Features) -> Features:
        """Return the last observations (E, d) of episodes that end with what is remembered of them.

        Ask before `see` is told of the new episodes' first observations; nothing is taken in.
        """
        before = self._now
        seen = self._first(final_obs) if before is None else self._next(before, final_obs)
        if self._correction is None:
            return seen
        return np.concatenate([seen, self._correction.last(final_obs)], axis=1)

    def _first(self, obs: Features) -> Features:
        count = self.recipe.actions * self._action_dim
        past = np.zeros((len(obs), count), np.float32)
        newest = np.tile(obs, (1, self.recipe.observations))
        return np.concatenate([newest, past, self._summed(obs), obs[:, self._past_columns]], axis=1)

    def _next(self, before: Features, obs: Features) -> Features:
        d, n = obs.shape[1], self._action_dim
        shown, sent = self.recipe.observations * d, self.recipe.actions * n
        summed = shown + sent + len(self.recipe.columns)
        now = np.empty_like(before)
        now[:, : shown - d] = before[:, d:shown]
        now[:, shown - d : shown] = obs
        if sent:
            end = shown + sent
            now[:, shown : end - n] = before[:, shown + n : end]
            now[:, end - n : end] = 0.0 if self._sent is None else self._sent
        if self.recipe.columns:
            sums = before[:, shown + sent : summed] * np.float32(1.0 - self.recipe.leak)
            now[:, shown + sent : summed] = self._summed(obs, sums)
        if self._longest:
            now[:, summed:] = self._recalled()
        return now

    def _recalled(self) -> Features:
        """Return (E, n_past): what will be some ticks ago when the next observation has come."""
        assert self._history is not None
        rows = (self._newest + 1 - self._lags) % self._longest
        return self._history[rows, :, np.arange(len(rows))].T

    def _remember(self, obs: Features, starts: Bool) -> None:
        wanted = obs[:, self._past_columns]
        if self._history is None or self._history.shape[1] != len(obs):
            self._history = np.tile(wanted, (self._longest, 1, 1))
        self._newest = (self._newest + 1) % self._longest
        self._history[self._newest] = wanted
        if starts.any():
            self._history[:, starts] = wanted[starts]

    def _summed(self, obs: Features, sums: Features | float = 0.0) -> Features:
        added: Features = obs[:, self.recipe.columns] * np.float32(self.recipe.gain) + sums
        np.minimum(added, np.float32(CLIP), out=added)
        np.maximum(added, np.float32(-CLIP), out=added)
        return added

    def _encoded(self, actions: NDArray[np.generic]) -> Features:
        space = self._action_space
        rows = actions.reshape(len(actions), -1)
        if isinstance(space, spaces.Box):
            within: Features = np.clip(rows, space.low.ravel(), space.high.ravel()).astype(np.float32)
            return within
        sizes = _sizes(space)
        one_hot = np.zeros((len(rows), int(sizes.sum())), np.float32)
        columns = rows.astype(np.int64) + (np.cumsum(sizes) - sizes)
        np.put_along_axis(one_hot, columns, np.float32(1.0), axis=1)
        return one_hot


def memory_of(view: GridView, settings: MemorySettings, corrects: str | None = None) -> Memory | None:
    """Return the memory of one agent of a grid, None if there is nothing to remember.

    Args:
        view: of the agent.
        settings: what is remembered.
        corrects: name of the rule whose commands the agent corrects.

    Raises:
        SettingsError: an integral is asked of a feature that the agent is not shown, its actions are of a
            kind that cannot be remembered, or the rule does not fit it.
    """
    if settings.is_empty and corrects is None:
        return None
    recipe = Recipe.of(settings, view.feature_names, view.dt_s)
    if corrects is not None:
        recipe = replace(recipe, corrects=rule_to_correct(corrects, view))
    return Memory(recipe, view.action_space)


def _sizes(space: spaces.Space[Any]) -> NDArray[np.int64]:
    if isinstance(space, spaces.Discrete):
        return np.array([space.n], np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return np.asarray(space.nvec, np.int64).ravel()
    msg = f"memory: actions in {space} cannot be remembered, expected Box, Discrete or MultiDiscrete"
    raise SettingsError(msg)


def _action_bounds(space: spaces.Space[Any]) -> tuple[Features, Features]:
    """Return the bounds of an action as features."""
    if isinstance(space, spaces.Box):
        return space.low.ravel().astype(np.float32), space.high.ravel().astype(np.float32)
    n = int(_sizes(space).sum())
    return np.zeros(n, np.float32), np.ones(n, np.float32)
