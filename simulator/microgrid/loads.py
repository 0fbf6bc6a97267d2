"""The random loads of E copies: each copy draws a whole episode at once from a stream of its own."""

from __future__ import annotations

import numpy as np

from simulator.microgrid.types import Float, Int

LEAST = 0.1  # scales stay above this, however large the walk


class LoadPaths:
    """Scales of the loads over an episode.

    A copy's stream is fixed by the seed and the number of its scenario, so neither other
    copies nor E change it.

    Args:
        n_envs: E.
        n_load: number of loads.
        ticks: length of an episode.
        spread: scales begin in U(1 - spread, 1 + spread).
        walk: U(-walk, walk) is added per tick.
        seed: of all streams.
        copies_per_scenario: neighbouring copies with the same loads.
    """

    def __init__(
        self,
        n_envs: int,
        n_load: int,
        ticks: int,
        spread: float,
        walk: float,
        seed: int,
        copies_per_scenario: int = 1,
    ) -> None:
        scenarios = [copy // copies_per_scenario for copy in range(n_envs)]
        self._streams = [np.random.default_rng([seed, scenario]) for scenario in scenarios]
        self._spread, self._walk = spread, walk
        self.r: Float = np.ones((n_envs, ticks + 1, n_load))  # in force during warm-up (0) and each tick
        self.l: Float = np.ones((n_envs, ticks + 1, n_load))

    def draw(self, copies: Int) -> None:
        """Draw a new episode for some copies."""
        shape = self.r.shape[1:]
        for copy in copies:
            for path in (self.r, self.l):
                moves = self._streams[copy].uniform(-1.0, 1.0, shape)
                moves[0] = 1.0 + self._spread * moves[0]
                moves[1:] *= self._walk
                path[copy] = np.maximum(np.cumsum(moves, axis=0), LEAST)
