"""An agent that corrects a rule: it is shown the rule's command, and its action is added to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gymnasium import spaces

import simulator
from agents.baselines import make_baseline
from agents.description import GridView
from agents.errors import SettingsError
from agents.memory import Memory, memory_of
from agents.recipe import MemorySettings, Recipe
from tests.agents.descriptions import view, view_in

pytestmark = pytest.mark.timeout(60)

E = 3


@pytest.fixture(scope="module")
def unit() -> GridView:
    """Return what battery_33 knows of the frequency grid."""
    spec = simulator.make("frequency68").spec
    return view_in(spec, "battery_33", E)


def observations(ticks: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.3, (ticks, E, 15)).astype(np.float32)


def starts(tick: int) -> np.ndarray:
    return np.array([tick == 0, tick in (0, 4), tick == 0])


def test_the_rules_command_is_a_feature_and_actions_are_added_to_it(unit: GridView) -> None:
    rule = make_baseline("pi_agc_forecast", unit, 0)
    memory = memory_of(unit, MemorySettings(actions=1), "pi_agc_forecast")
    assert memory is not None
    announced = memory.space(unit.observation_space)
    sent, own = np.zeros((E, 1)), np.array([[0.0], [0.25], [9.0]], np.float32)
    for tick, obs in enumerate(observations(9)):
        seen, command = memory.see(obs, starts(tick)), rule.act(obs, None, starts(tick))
        assert announced.shape == (15 + 1 + 1,)
        np.testing.assert_array_equal(seen[:, :15], obs)
        np.testing.assert_array_equal(seen[:, 15], np.where(starts(tick), 0.0, sent[:, 0]))
        np.testing.assert_array_equal(seen[:, 16:], command)
        sent = memory.applied(own)
        np.testing.assert_allclose(sent, np.clip(command + own, -1, 1), rtol=1e-6)
        memory.acted(sent)  # what is remembered is what was sent


def test_looking_at_the_last_observation_of_an_episode_does_not_move_the_rule(unit: GridView) -> None:
    one, other = (memory_of(unit, MemorySettings(), "pi_agc") for _ in range(2))
    assert one is not None
    assert other is not None
    for tick, obs in enumerate(observations(6)):
        last = one.last(obs) if tick else None
        expected = other.see(obs, np.full(E, tick == 0))
        np.testing.assert_array_equal(one.see(obs, np.full(E, tick == 0)), expected)
        if last is not None:
            np.testing.assert_array_equal(last, expected)  # the episode went on, so they are the same


def test_the_rule_travels_with_the_recipe(unit: GridView) -> None:
    memory = memory_of(unit, MemorySettings(), "pi_agc_forecast")
    assert memory is not None
    saved = json.loads(json.dumps(memory.recipe.saved()))
    again = Memory(Recipe.from_saved(saved), unit.action_space)
    assert again.recipe.saved() == saved == memory.recipe.saved()
    for tick, obs in enumerate(observations(4)):
        np.testing.assert_array_equal(again.see(obs, starts(tick)), memory.see(obs, starts(tick)))


def test_an_agent_that_corrects_nothing_has_no_rule_in_its_recipe() -> None:
    assert "corrects" not in Recipe.of(MemorySettings(observations=2), ("a",), 1.0).saved()


def test_what_cannot_be_corrected_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"corrects is 'random', but choices \(Discrete\(4\)\)"):
        memory_of(view(), MemorySettings(), "random")
    box = view({"kind": "box", "low": [-1.0], "high": [1.0]}, actions=("ramp_x",))
    assert isinstance(box.action_space, spaces.Box)
    with pytest.raises(SettingsError, match="unit left is of no known kind"):
        memory_of(box, MemorySettings(), "pi_agc")
