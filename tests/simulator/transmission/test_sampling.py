"""Start states of samples are steps that their chronic has."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from simulator.transmission.sampling import _Sampler

LENGTHS = (40, 4000)  # steps of two chronics


class TwoChronics:
    """What the sampler asks of an environment; every episode ends with its first step."""

    def __init__(self) -> None:
        self.chronics_handler = SimpleNamespace(subpaths=LENGTHS)
        self.starts: list[tuple[int, int]] = []  # (chronic, step)
        self._next = 0

    def seed(self, seed: int) -> None:
        pass

    def set_id(self, chronic: int) -> None:
        self._next = chronic

    def reset(self, options: Mapping[str, int] | None = None) -> SimpleNamespace:
        options = {"time serie id": self._next, **(options or {})}
        if "init ts" in options:
            self.starts.append((options["time serie id"], options["init ts"]))
        return SimpleNamespace(max_step=LENGTHS[options["time serie id"]])

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        return None, 0.0, True, {}


def test_start_states_lie_within_their_own_chronic():
    sampler = _Sampler.__new__(_Sampler)
    sampler._env, sampler._idle = TwoChronics(), None
    states = sampler._states(np.random.default_rng(0))
    for _ in range(200):
        next(states)
    chronics, steps = np.array(sampler._env.starts).T
    for chronic, length in enumerate(LENGTHS):
        drawn = steps[chronics == chronic]
        assert len(drawn) > 50
        assert drawn.min() >= 1
        # ten steps are played from each, and they cover all of the chronic
        assert 0.7 * length < drawn.max() < length - 10
