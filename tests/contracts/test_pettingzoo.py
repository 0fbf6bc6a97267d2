"""One copy of any grid is a PettingZoo environment."""

from __future__ import annotations

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import simulator
from tests.contracts.cases import CASES, SMALL

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("name", SMALL)
def test_pettingzoos_own_tests_pass(name):
    case = CASES[name]
    env = simulator.parallel_env(case.name, **case.options)
    assert env.possible_agents == list(simulator.agent_names(case.name, **case.options))
    parallel_api_test(env, num_cycles=20)
    env.close()
    parallel_seed_test(lambda: simulator.parallel_env(case.name, **case.options), num_cycles=8)


@pytest.mark.parametrize("name", SMALL)
def test_pettingzoo_plays_every_scenario_of_the_grid(name):
    case = CASES[name]
    env, world = simulator.parallel_env(case.name, **case.options), case.make(copies=1)
    frame, rest = world.reset(), {agent: world.fallback(agent) for agent in world.spec.agents}
    shown, _ = env.reset()
    for _ in range(3):
        for agent in env.agents:
            assert np.array_equal(shown[agent], frame.observations[agent][0])
        assert np.array_equal(env.state(), frame.state[0])
        while env.agents:
            frame = world.step(rest)
            env.step({agent: action[0] for agent, action in rest.items()})
        shown, infos = env.reset()
        masked = {agent: info["action_mask"] for agent, info in infos.items() if "action_mask" in info}
        assert masked.keys() == (frame.masks or {}).keys()
        assert all(np.array_equal(mask, frame.masks[agent][0]) for agent, mask in masked.items())
    world.close(), env.close()


def test_a_reset_in_mid_episode_or_with_a_seed_begins_anew():
    env, world = (make("synthetic", max_steps=2) for make in (simulator.parallel_env, simulator.make))
    rest = {agent: world.fallback(agent) for agent in world.spec.agents}
    one = {agent: action[0] for agent, action in rest.items()}
    first, _ = env.reset(seed=1)
    env.step(one), env.step(one)
    again, _ = env.reset(seed=1)
    env.step(one)
    second, _ = env.reset()
    world.reset(1), world.step(rest)
    expected = world.reset().observations
    for agent in world.spec.agents:
        assert np.array_equal(first[agent], again[agent])
        assert np.array_equal(second[agent], expected[agent][0])


def test_as_a_pettingzoo_environment_the_last_step_shows_the_end():
    env = simulator.parallel_env("synthetic", max_steps=2)
    with pytest.raises(RuntimeError, match="state before reset"):
        env.state()
    first, _ = env.reset(seed=1)
    rest = {agent: env.action_space(agent).sample() for agent in env.agents}
    env.step(rest)
    observations, rewards, terminations, truncations, infos = env.step(rest)
    assert list(truncations.values()) == [True, True]
    assert not any(terminations.values())
    assert env.agents == []
    assert env.state_space.contains(env.state())
    world = simulator.make("synthetic", max_steps=2)
    frame = world.reset(1)
    for _ in range(2):
        frame = world.step({agent: action[None] for agent, action in rest.items()})
    for index, agent in enumerate(world.spec.agents):
        assert np.array_equal(observations[agent], frame.final_observations[agent][0])
        assert rewards[agent] == frame.rewards[0, index]
    assert np.array_equal(env.state(), frame.final_state[0])
    assert env.step({}) == ({}, {}, {}, {}, {})
    assert env.reset(seed=1)[0].keys() == first.keys() == infos.keys()
