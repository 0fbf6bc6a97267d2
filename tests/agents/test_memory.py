"""An agent remembers its own episode, copy by copy, and nothing of another one."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import SettingsError
from agents.memory import CLIP, Memory, memory_of
from agents.recipe import MemorySettings, Recipe
from agents.settings import AgentSettings
from tests.agents.descriptions import view

pytestmark = pytest.mark.timeout(60)

NAMES = ("a", "b", "c")
SPACES = (
    spaces.Box(np.float32([-1.0, 0.5]), np.float32([1.0, 2.0])),
    spaces.Discrete(3),
    spaces.MultiDiscrete([2, 3]),
)


class OneCopy:
    """The oracle: one copy of the world, with lists."""

    def __init__(self, wanted: MemorySettings, space: spaces.Space, columns: list[int], dt_s: float) -> None:
        self.wanted, self.space, self.columns = wanted, space, columns
        self.gain = dt_s / (wanted.integral_time_s or 50 * dt_s)

    def start(self, obs: np.ndarray) -> np.ndarray:
        self.shown = deque([obs] * self.wanted.observations, maxlen=self.wanted.observations)
        nothing = np.zeros(spaces.flatdim(self.space))
        self.sent = deque([nothing] * self.wanted.actions, maxlen=self.wanted.actions)
        self.sums = np.clip(obs[self.columns] * self.gain, -CLIP, CLIP)
        self.all = [obs]
        return self.features()

    def go_on(self, action: np.ndarray, obs: np.ndarray) -> np.ndarray:
        if isinstance(self.space, spaces.Box):
            self.sent.append(np.clip(action, self.space.low, self.space.high))
        else:
            self.sent.append(spaces.flatten(self.space, action))
        self.shown.append(obs)
        self.all.append(obs)
        self.sums = self.sums * (1 - self.wanted.leak) + obs[self.columns] * self.gain
        self.sums = np.clip(self.sums, -CLIP, CLIP)
        return self.features()

    def features(self) -> np.ndarray:
        past = [
            self.all[max(0, len(self.all) - 1 - lag)][NAMES.index(name)]
            for name, lags in self.wanted.lags.items()
            for lag in lags
        ]
        return np.concatenate([*self.shown, *self.sent, self.sums, past])


@given(
    seed=st.integers(0, 2**32 - 1),
    space=st.sampled_from(SPACES),
    n_envs=st.integers(1, 5),
    observations=st.integers(1, 4),
    actions=st.integers(0, 3),
    integrals=st.sampled_from([[], ["b"], ["c", "a"], ["*"]]),
    leak=st.sampled_from([0.0, 0.1, 1.0]),
    lags=st.sampled_from([{}, {"b": [1]}, {"c": [2, 5], "a": [1]}]),
)
@settings(max_examples=60, deadline=None)
def test_every_copy_sees_the_past_of_its_own_episode(
    seed, space, n_envs, observations, actions, integrals, leak, lags
) -> None:
    rng = np.random.default_rng(seed)
    wanted = MemorySettings(observations, actions, lags, tuple(integrals), 3.0, leak)
    memory = Memory(Recipe.of(wanted, NAMES, 2.0), space)
    columns = [0, 1, 2] if integrals == ["*"] else [NAMES.index(name) for name in integrals]
    copies = [OneCopy(wanted, space, columns, 2.0) for _ in range(n_envs)]

    def draw() -> np.ndarray:
        return rng.normal(0.0, 5.0, (n_envs, 3)).astype(np.float32)

    obs = draw()
    seen = memory.see(obs, np.ones(n_envs, bool))
    np.testing.assert_allclose(seen, [c.start(row) for c, row in zip(copies, obs, strict=True)], rtol=1e-5)
    for _ in range(12):
        if isinstance(space, spaces.Box):
            acts = rng.normal(0.0, 2.0, (n_envs, 2)).astype(np.float32)
        else:
            several = isinstance(space, spaces.MultiDiscrete)
            acts = rng.integers(space.nvec, size=(n_envs, 2)) if several else rng.integers(3, size=n_envs)
        memory.acted(acts)
        obs, final, starts = draw(), draw(), rng.random(n_envs) < 0.3
        shown = np.where(starts[:, None], final, obs)
        expected = [c.go_on(a, row) for c, a, row in zip(copies, acts, shown, strict=True)]
        np.testing.assert_allclose(
            memory.last(final)[starts], np.array(expected)[starts], rtol=1e-4, atol=1e-5
        )
        for copy in np.flatnonzero(starts):
            expected[copy] = copies[copy].start(obs[copy])
        kept = obs.copy()
        np.testing.assert_allclose(memory.see(obs, starts), expected, rtol=1e-4, atol=1e-5)
        assert np.array_equal(obs, kept)


def test_features_lie_in_the_space_that_is_announced() -> None:
    shown = spaces.Box(np.float32([-1, 0, 0]), np.float32([1, 2, np.inf]))
    for space in SPACES:
        memory = Memory(Recipe.of(MemorySettings(2, 2, {"a": [3]}, ("c",)), NAMES, 1.0), space)
        announced = memory.space(shown)
        assert announced.shape == (2 * 3 + 2 * spaces.flatdim(space) + 1 + 1,)
        seen = memory.see(np.float32([[1, 2, 1e9]]), np.ones(1, bool))
        assert announced.contains(seen[0])
        memory.acted(np.array([space.sample()]))
        assert announced.contains(memory.see(np.float32([[0, 0, 1e9]]), np.zeros(1, bool))[0])


def test_nothing_is_remembered_unless_it_is_asked_for() -> None:
    assert MemorySettings().is_empty
    assert memory_of(view(), MemorySettings.from_mapping({})) is None
    assert memory_of(view(), MemorySettings(observations=2)) is not None


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"observations": 0}, "memory.observations is 0, expected at least 1"),
        ({"observations": 2.5}, "memory.observations is 2.5, expected at least 1"),
        ({"actions": -1}, "memory.actions is -1, expected 0 or more"),
        ({"integrals": "rho"}, "memory.integrals is 'rho', expected a list of features"),
        ({"integrals": ["rho", "rho"]}, "expected each feature once"),
        ({"integral_time_s": 0.0}, "memory.integral_time_s is 0.0, expected seconds, more than 0"),
        ({"leak": 1.5}, "memory.leak is 1.5, expected 0 to 1"),
        ({"leak": "x"}, "memory.leak is 'x', expected 0 to 1"),
        ({"integral_time_s": "5"}, "memory.integral_time_s is '5', expected seconds, more than 0"),
        ({"lags": {"rho": 3}}, "memory.lags is .*, expected a list of ticks ago, 1 or more, per feature"),
        ({"lags": ["rho"]}, "memory.lags is"),
        ({"lags": {"rho": []}}, "memory.lags is"),
        ({"lags": {"rho": [0]}}, "memory.lags is"),
        ({"frames": 4}, "memory.keys is .'frames'., expected out of"),
        (
            {"integrals": ["omega"]},
            "memory.integrals is 'omega', expected one of the agent's features, line_0",
        ),
    ],
)
def test_a_wrong_setting_is_named(wrong, expected) -> None:
    with pytest.raises(SettingsError, match=expected):
        memory_of(view(), MemorySettings.from_mapping(wrong))


def test_wrong_settings_are_found_before_an_agent_starts() -> None:
    with pytest.raises(SettingsError, match=r"memory\.observations"):
        AgentSettings(memory={"observations": -4})
