"""The centralized critic: its answers and what it learns do not depend on who asks when."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from agents.critic.centralized import CentralizedCritic
from agents.critic.errors import DigestError, DivergenceError, RolloutError
from agents.critic.gae import bootstrap_values, gae
from agents.critic.local import LocalCritic
from agents.critic.settings import CriticSettings
from tests.agents.critic.rounds import SMALL, T, critic_of, run_rounds, same, same_network


def test_answers_are_gae_of_the_networks_values(world):
    critic = critic_of(world)
    run_rounds(critic, world, [0])
    answer = critic.answer(world.request("east", T, T, gamma=0.9, lam=0.7))

    states = world.states[T : 2 * T + 1]
    truncated = np.stack([s.truncated for s in states[1:]])
    inputs = np.stack([np.concatenate([s.state, s.in_flight], axis=1) for s in states])
    values = critic.trainer.values(inputs)[..., 1]
    blank = np.zeros((world.n_envs, 6), np.float32)
    final = np.stack([blank if s.final_state is None else s.final_state for s in states[1:]])
    next_values = bootstrap_values(values, critic.trainer.values(final)[..., 1], truncated)
    rewards = np.stack([s.rewards[:, 1] for s in states[1:]])
    terminated = np.stack([s.terminated for s in states[1:]])
    expected = gae(rewards, values[:-1], next_values, terminated, truncated, 0.9, 0.7)

    assert terminated.any()
    assert (truncated & ~terminated).any()
    assert np.ptp(values) > 0.1
    np.testing.assert_allclose(answer.values, values[:-1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(answer.advantages, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answer.returns, expected + values[:-1], rtol=1e-4, atol=1e-4)
    assert answer.critic_version == 1


def test_advantages_are_measured_against_copies_of_the_same_scenario(make_world):
    alone, beside = (make_world(n_envs=6, copies_per_scenario=m) for m in (1, 3))
    plain, compared = (critic_of(w).answer(w.request("east", 0, T)) for w in (alone, beside))
    assert np.array_equal(compared.values, plain.values)
    assert np.array_equal(compared.returns, plain.returns)
    assert not np.allclose(compared.advantages, plain.advantages)
    for copy in range(6):
        siblings = [other for other in range(6) if other // 3 == copy // 3 and other != copy]
        expected = plain.advantages[:, copy] - plain.advantages[:, siblings].mean(axis=1)
        np.testing.assert_allclose(compared.advantages[:, copy], expected, rtol=1e-4, atol=1e-4)


def test_order_of_asking_changes_nothing(world):
    reference = critic_of(world)
    expected = run_rounds(reference, world, [0, T, 2 * T])
    for order in permutations(world.agents):
        critic = critic_of(world)

        same(run_rounds(critic, world, [0, T, 2 * T], order), expected)
        same_network(critic, reference)


def test_training_late_learns_the_same_as_training_early(world):
    early, late = critic_of(world), critic_of(world)
    expected = run_rounds(early, world, [0, T])
    got = {}
    for start in (0, T):  # never told to train: the first request of the next round does it
        for agent in reversed(world.agents):
            got[agent, start] = late.answer(world.request(agent, start, T))
    late.train()

    same(got, expected)
    same_network(late, early)


def test_states_may_arrive_in_any_order_and_twice(world):
    shuffled = CentralizedCritic(world.description(), SMALL)
    for index in np.random.default_rng(0).permutation(len(world.states)):
        shuffled.observe(world.states[index])
        shuffled.observe(world.states[index])

    same(run_rounds(shuffled, world, [0, T]), run_rounds(critic_of(world), world, [0, T]))


def test_a_round_trains_the_network_once_however_often_it_is_asked_for(world):
    critic = critic_of(world)
    first = run_rounds(critic, world, [0])
    assert critic.trainer.version == 1
    again = run_rounds(critic, world, [0])

    same(again, first)
    assert critic.trainer.version == 1
    run_rounds(critic, world, [T])
    assert critic.trainer.version == 2
    same(run_rounds(critic, world, [0]), first)  # a straggler, one round later


def test_one_missing_agent_does_not_keep_the_others_from_learning(world):
    critic = critic_of(world)
    for start in (0, T, 2 * T):
        for agent in ("north", "south"):
            version = critic.answer(world.request(agent, start, T)).critic_version
        assert not critic.due

    assert version == 2


def test_rollouts_out_of_step_are_answered_and_no_step_trains_twice(world, monkeypatch):
    critic = critic_of(world)
    trained = []
    update = critic.trainer.update
    monkeypatch.setattr(critic.trainer, "update", lambda x, y: (trained.append(len(x)), update(x, y))[1])
    for agent, first in [("north", 0), ("east", 0), ("south", 5), ("north", T), ("south", 5 + T)]:
        critic.answer(world.request(agent, first, T))
    critic.train()

    assert critic.trained_until == 5 + 2 * T
    assert sum(trained) == 5 + 2 * T


def test_rollouts_of_different_length_do_not_depend_on_order(world):
    asks = [[("north", 0, T)], [("east", T, T), ("north", T, T), ("south", 0, 2 * T)], [("east", 2 * T, T)]]
    critics = []
    for turn in (1, -1):
        critic = critic_of(world)
        for group in asks:
            for agent, first, n_steps in group[::turn]:
                critic.answer(world.request(agent, first, n_steps))
        critics.append(critic)

    assert critics[0].trainer.version == 2
    same_network(*critics)


def test_lambda_may_differ_between_agents_but_gamma_of_a_shared_head_may_not(world):
    critic = critic_of(world, CriticSettings(reward="shared", hidden=(8,)))
    critic.answer(world.request("north", 0, T, gamma=0.9, lam=0.5))
    critic.answer(world.request("east", 0, T, gamma=0.9, lam=0.99))

    with pytest.raises(RolloutError, match=r"south.*gamma is 0.99, but 0.9 for north.*reward: local"):
        critic.answer(world.request("south", 0, T, gamma=0.99))
    local = critic_of(world)
    for agent, gamma in zip(world.agents, (0.9, 0.95, 0.99), strict=True):
        local.answer(world.request(agent, 0, T, gamma=gamma))
    assert local.due


def test_a_shared_head_trains_with_the_lambda_of_the_first_agent_whoever_asks_first(world):
    lambdas = dict(zip(world.agents, (0.2, 0.9, 0.99), strict=True))
    critics = []
    for order in (world.agents, world.agents[::-1]):
        critic = critic_of(world, replace(SMALL, reward="shared"))
        for agent in order:
            critic.answer(world.request(agent, 0, T, lam=lambdas[agent]))
        critic.train()
        critics.append(critic)

    same_network(*critics)


def test_wrong_rewards_are_refused_by_name(world):
    critic = critic_of(world)
    request = replace(world.request("east", 0, T), digest=world.request("north", 0, T).digest)

    with pytest.raises(DigestError, match=r"agent east, epoch 1, steps 0 to 15.*raw rewards"):
        critic.answer(request)
    assert critic.answer(world.request("east", 0, T)).critic_version == 0  # and nothing is broken


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agent": "west"}, "no such agent; known are north, east, south"),
        ({"epoch": 7}, "the world is in epoch 1"),
        ({"n_steps": 0}, "n_steps 1 or more"),
        ({"first_tick": -3}, "first_tick must be 0 or more"),
        ({"n_steps": 5000}, "keeps 4096 grid states"),
        ({"gamma": 1.5}, "gamma is 1.5"),
        ({"first_tick": 60}, "12 grid states are missing, the first of them tick 65"),
    ],
)
def test_senseless_requests_are_refused_with_their_reason(world, change, words):
    critic = critic_of(world)

    with pytest.raises(RolloutError, match=words):
        critic.answer(replace(world.request("north", 0, T), **change))


def test_it_says_which_ticks_it_lacks(world):
    critic = CentralizedCritic(world.description(), SMALL)
    for tick in (0, 1, 2, 5, 6, 9, T):
        critic.observe(world.states[tick])
    request = world.request("north", 0, 10)

    assert critic.store.gaps()[:4] == [3, 4, 7, 8]
    assert critic.missing(request) == [3, 4, 7, 8, 10]
    for tick in critic.missing(request):
        critic.recall(world.states[tick])
    same(
        {"north": critic.answer(request)},
        {"north": critic_of(world).answer(request)},
    )


def test_a_new_epoch_drops_what_belongs_to_the_old_one(world, make_world):
    critic = critic_of(world)
    critic.answer(world.request("north", 0, T))
    later = make_world(epoch=2, seed=9)
    for state in later.states:
        critic.observe(state)
    critic.observe(world.states[3])  # a latecomer

    with pytest.raises(RolloutError, match=r"epoch 1.*the world is in epoch 2"):
        critic.answer(world.request("east", 0, T))
    assert critic.answer(later.request("east", 0, T)).critic_version == 0
    assert critic.store.missing(0, 64) == []


def test_numbers_that_are_not_finite_are_refused_with_their_place(world):
    state = world.states[4]
    rewards = state.rewards.copy()
    rewards[1, 0] = np.nan

    with pytest.raises(DivergenceError, match=r"tick 4: 'rewards' is not finite in copies \[1\]"):
        critic_of(world, until=3).observe(replace(state, rewards=rewards))


def test_states_of_another_shape_and_ends_without_an_end_state_are_refused(world):
    critic = critic_of(world, until=1)
    cut = next(s for s in world.states if s.truncated.any())

    with pytest.raises(RolloutError, match=r"\(3, 5, 3\), but /grid/description says \(3, 6, 3\)"):
        critic.observe(replace(world.states[1], in_flight=world.states[1].in_flight[:, :1]))
    with pytest.raises(RolloutError, match="truncated but final_state is missing"):
        critic.observe(replace(cut, final_state=None))
    with pytest.raises(RolloutError, match="final_state has 5 columns, expected 6"):
        critic.observe(replace(cut, final_state=cut.final_state[:, :5]))


def test_memory_stays_bounded(world):
    critic = critic_of(world, replace(SMALL, history_ticks=20), until=40)
    assert len(critic.store) == 20
    critic = critic_of(world)
    run_rounds(critic, world, [0, T, 2 * T])

    assert critic.store.missing(T, 64) == []
    assert critic.store.missing(0, T - 1) == list(range(T))


def test_agents_in_the_same_process_need_no_bus(world):
    critic = critic_of(world, until=T + 1)
    answers = {}
    for agent in world.agents:
        values, advantages, returns = LocalCritic(critic, agent).advantages(
            *world.raw(agent, 0, T), 0.95, 0.9
        )
        np.testing.assert_array_equal(returns, advantages + values)
        answers[agent, 0] = advantages

    expected = run_rounds(critic_of(world), world, [0])
    assert all((answers[key] == expected[key].advantages).all() for key in expected)
    assert critic.trainer.version == 1
