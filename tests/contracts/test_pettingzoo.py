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
