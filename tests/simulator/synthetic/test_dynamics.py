"""Factored processes: what copies what is what the case says."""

from __future__ import annotations

import json

import numpy as np
import pytest

import simulator
from simulator.errors import OptionError
from simulator.synthetic import cases, dynamics, sampling
from simulator.synthetic.types import Noise, State


def test_the_published_case_has_the_published_blocks():
    system = cases.published()
    assert system.state_block.tolist() == [0, 1, 0, 1, 0]
    assert system.action_block.tolist() == [0, 0, 1]
    np.testing.assert_allclose(system.copy_probability[0], [0.2, 0, 0.2, 0, 0.2, 0.2, 0.2, 0])
    np.testing.assert_allclose(system.copy_probability[1], np.array([0, 1, 0, 1, 0, 0, 0, 1]) / 3)


def test_a_component_copies_the_input_that_the_random_number_points_at():
    system = cases.published()
    state, action = State(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]])), np.array([[0.6, 0.7, 0.8]])
    choice = np.array([[0.0, 0.34, 0.45, 0.99, 0.9999]])
    after = dynamics.step(system, state, action, Noise(choice, np.zeros((1, 5))))
    np.testing.assert_array_equal(after.values, [[0.1, 0.4, 0.5, 0.8, 0.7]])


def test_values_are_copied_with_the_stated_probabilities_and_never_across_blocks():
    before, after = sampling.collect(cases.published(), 20_000, seed=0)
    copied = np.array([[np.mean(x == y) for x in before] for y in after])
    assert np.all(copied[[0, 2, 4]][:, [1, 3, 7]] == 0)
    assert np.all(copied[[1, 3]][:, [0, 2, 4, 5, 6]] == 0)
    np.testing.assert_allclose(copied[[1, 3], 7], 1 / 3, atol=0.02)
    np.testing.assert_allclose(copied[[0, 2, 4]][:, [5, 6]], 1 / 5, atol=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_random_blocks_are_connected_and_apart(seed):
    system = cases.random(seed, [(3, 1), (1, 2), (4, 0)])
    block = np.concatenate([system.state_block, system.action_block])
    uses = system.copy_probability > 0
    assert np.all(block[np.nonzero(uses)[1]] == system.state_block[np.nonzero(uses)[0]])
    assert uses[:, system.n_state :].any(axis=0).all()
    np.testing.assert_allclose(system.copy_probability.sum(axis=1), 1.0)


def test_weak_couplings_and_overlaps_cross_blocks():
    def crossing(**options):
        system = cases.random(0, [(3, 2), (3, 2)], **options)
        block = np.concatenate([system.state_block, system.action_block])
        return system.copy_probability[system.state_block[:, None] != block]

    assert crossing().sum() == 0
    np.testing.assert_allclose(crossing(weak=0.05).sum(), 6 * 0.05)
    assert np.count_nonzero(crossing(overlap=2)) == 2


def test_observation_noise_has_the_stated_spread():
    system = cases.random(0, [(2, 2)], noise=0.1)
    state = State(np.full((20_000, 2), 0.5))
    seen = dynamics.observed(system, state, dynamics.draw(system, 20_000, np.random.default_rng(0)))
    assert seen.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.02)


def test_the_same_seed_gives_the_same_samples():
    one, other = (sampling.collect(cases.published(), 500, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[0], sampling.collect(cases.published(), 500, seed=8)[0])


def test_an_ensemble_can_be_launched_on_it():
    grid = simulator.make("synthetic", n_envs=3, seed=0, case="random", blocks=[[3, 2], [2, 1]], max_steps=4)
    assert grid.spec.agents == simulator.agent_names("synthetic", case="random", blocks=[[3, 2], [2, 1]])
    frame = grid.reset(seed=0)
    high = {a: np.ones((3, *grid.spec.action_space(a).shape), np.float32) for a in grid.spec.agents}
    for tick in range(1, 5):
        frame = grid.step(high)
        assert frame.truncated.all() == (tick == 4)
        assert all(
            grid.spec.observation_space(a).contains(frame.observations[a][0]) for a in grid.spec.agents
        )
    assert frame.final_state.shape == (3, 5)
    clusters = json.loads(grid.spec.partition)["clusters"]
    assert [len(c["variables"]["state"]) for c in clusters] == [3, 2]


def test_the_largest_actions_are_best():
    def mean_reward(level):
        grid = simulator.make("synthetic", n_envs=50, seed=0)
        grid.reset(seed=0)
        actions = {a: np.full((50, *grid.spec.action_space(a).shape), level) for a in grid.spec.agents}
        return np.mean([grid.step(actions).rewards for _ in range(30)])

    assert mean_reward(1.0) > mean_reward(0.5) + 0.2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"colour": "red"}, "unknown options"),
        ({"case": "best"}, "case is 'best'"),
        ({"case": "random", "blocks": [(3, 0)]}, "a block without actions has no agent"),
        ({"case": "random", "blocks": []}, "expected pairs"),
        ({"max_steps": 0}, "max_steps is 0, expected an integer >= 1"),
        ({"case": "random", "weak": 1.5}, r"weak is 1.5, expected a number in \[0, 1\)"),
        ({"case": "random", "weak": "x"}, "weak is 'x', expected a number"),
        ({"case": "random", "weak": None}, "weak is None, expected a number"),
        ({"case": "random", "noise": "x"}, "noise is 'x', expected a number"),
        ({"case": "random", "noise": float("nan")}, "noise is nan, expected a number"),
        ({"case": "random", "noise": float("inf")}, "noise is inf, expected a number"),
        ({"noise": -1.0}, "noise is -1.0, expected a number"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(OptionError, match=says):
        simulator.make("synthetic", **options)


@pytest.mark.parametrize("noise", [-1.0, float("nan"), float("inf")])
def test_a_process_without_a_noise_is_refused(noise):
    with pytest.raises(OptionError, match="noise in"):
        cases.random(0, [(2, 1)], noise=noise)
