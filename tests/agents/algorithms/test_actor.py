"""The numpy actor computes what torch computes, and draws what the distribution says."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.policies import BasePolicy

from agents import actor
from agents.policies import ActorPolicy, MaskableActorPolicy
from agents.recurrent_policy import RecurrentActorPolicy

BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
DISCRETE = spaces.Discrete(5)
MULTI = spaces.MultiDiscrete([2, 4, 3])
BINARY = spaces.MultiBinary(4)
OBSERVATIONS = spaces.Box(-10.0, 10.0, (7,), np.float32)


def build(policy: type[BasePolicy], space: spaces.Space, seed: int = 0, **kwargs: object) -> BasePolicy:
    """A policy whose weights are far from their small initial values, with a generator of its own."""
    with th.random.fork_rng():
        th.manual_seed(seed)
        built = policy(OBSERVATIONS, space, lambda _: 3e-4, **kwargs)
        with th.no_grad():
            for weight in built.parameters():
                weight.add_(0.3 * th.randn_like(weight))
    built.generator = np.random.default_rng(seed)
    built.set_training_mode(False)
    return built


def observations(n_envs: int, seed: int = 0) -> th.Tensor:
    return th.from_numpy(np.random.default_rng(seed).normal(0.0, 2.0, (n_envs, 7)).astype(np.float32))


@pytest.mark.parametrize("space", [BOX, DISCRETE, MULTI, BINARY], ids=str)
@pytest.mark.parametrize("n_envs", [1, 64])
@pytest.mark.parametrize("activation", [th.nn.Tanh, th.nn.ReLU, th.nn.ELU])
def test_log_probabilities_agree_with_torch(
    space: spaces.Space, n_envs: int, activation: type[th.nn.Module]
) -> None:
    policy = build(ActorPolicy, space, activation_fn=activation)
    obs = observations(n_envs)
    actions, values, log_probs = policy(obs)
    _, expected, _ = policy.evaluate_actions(obs, actions.float() if space == BINARY else actions)
    np.testing.assert_allclose(log_probs, expected.detach(), rtol=1e-5, atol=1e-5)
    assert values.shape == (n_envs, 1)
    assert not values.any()


@pytest.mark.parametrize("space", [BOX, DISCRETE, MULTI, BINARY], ids=str)
def test_the_most_likely_action_is_torchs(space: spaces.Space) -> None:
    policy = build(ActorPolicy, space)
    obs = observations(64)
    expected = policy.get_distribution(obs).mode()
    np.testing.assert_allclose(policy(obs, deterministic=True)[0], expected.detach(), atol=1e-5)


@pytest.mark.parametrize("space", [DISCRETE, MULTI, BINARY], ids=str)
def test_masked_log_probabilities_agree_with_torch(space: spaces.Space) -> None:
    policy = build(MaskableActorPolicy, space)
    sizes = {5: [5], 9: [2, 4, 3], 8: [2] * 4}[policy.action_net.out_features]
    rng = np.random.default_rng(3)
    masks = rng.random((64, sum(sizes))) < 0.4
    masks[:, np.cumsum([0, *sizes[:-1]])] = True
    obs = observations(64)
    actions, _, log_probs = policy(obs, action_masks=masks)
    _, expected, _ = policy.evaluate_actions(obs, actions, th.from_numpy(masks))
    np.testing.assert_allclose(log_probs, expected.detach(), rtol=1e-5, atol=1e-5)
    columns = actions.numpy().reshape(64, -1) + np.cumsum([0, *sizes[:-1]])
    assert np.take_along_axis(masks, columns, axis=1).all()


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_envs", [1, 16])
@pytest.mark.parametrize("activation", [th.nn.Tanh, th.nn.ELU])  # numpy has no ELU: torch computes it
def test_the_lstm_agrees_with_torch_over_episodes(
    n_layers: int, n_envs: int, activation: type[th.nn.Module]
) -> None:
    layers = {"lstm_hidden_size": 24, "n_lstm_layers": n_layers}
    policy = build(RecurrentActorPolicy, BOX, activation_fn=activation, **layers)
    ours = theirs = RNNStates(*[(th.zeros(n_layers, n_envs, 24), th.zeros(n_layers, n_envs, 24))] * 2)
    rng = np.random.default_rng(0)
    for step in range(12):
        obs = observations(n_envs, seed=step)
        starts = th.from_numpy((rng.random(n_envs) < 0.2).astype(np.float32))
        actions, _, log_probs, ours = policy(obs, ours, starts)
        with th.no_grad():
            _, expected, _ = policy.evaluate_actions(obs, actions, theirs, starts)
            _, state = policy.get_distribution(obs, theirs.pi, starts)
        theirs = RNNStates(state, state)
        np.testing.assert_allclose(log_probs, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours.pi[0], state[0], atol=1e-5)
        np.testing.assert_allclose(ours.pi[1], state[1], atol=1e-5)


def test_the_view_follows_every_way_to_change_weights() -> None:
    policy = build(ActorPolicy, BOX)
    other = build(ActorPolicy, BOX, seed=9)
    obs = observations(4)

    def agrees() -> bool:
        with th.no_grad():
            expected = policy.get_distribution(obs).mode()
        return np.allclose(policy(obs, deterministic=True)[0], expected, atol=1e-5)

    before = policy(obs, deterministic=True)[0]
    policy.optimizer.zero_grad()
    policy.evaluate_actions(obs, before)[1].sum().backward()
    policy.optimizer.step()
    assert agrees()
    policy.load_state_dict(other.state_dict())
    assert agrees()
    policy.load_from_vector(0.5 * other.parameters_to_vector())
    assert agrees()
    policy.action_net = copy.deepcopy(other.action_net)
    policy.set_training_mode(False)
    assert agrees()
    twin = copy.deepcopy(policy)
    with th.no_grad():
        twin.action_net.bias.add_(1.0)
    assert np.allclose(twin(obs, deterministic=True)[0], policy(obs, deterministic=True)[0] + 1.0, atol=1e-5)
    assert not np.allclose(before, policy(obs, deterministic=True)[0])


def test_actions_are_drawn_with_their_probabilities() -> None:
    logits = np.tile(np.log(np.array([0.1, 0.2, 0.7], np.float32)), (20_000, 1))
    actions, log_probs = actor.Categorical((3,)).decide(logits, np.random.default_rng(0))
    shares = np.bincount(actions[:, 0], minlength=3) / len(actions)
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.7], atol=0.015)  # four standard errors
    np.testing.assert_allclose(np.exp(log_probs), np.array([0.1, 0.2, 0.7])[actions[:, 0]], rtol=1e-5)


def test_a_gaussian_draw_has_its_mean_and_deviation() -> None:
    head = actor.Gaussian(np.log(np.array([0.5, 2.0], np.float32)))
    actions, _ = head.decide(np.tile(np.float32([1.0, -3.0]), (20_000, 1)), np.random.default_rng(0))
    np.testing.assert_allclose(actions.mean(axis=0), [1.0, -3.0], atol=0.06)
    np.testing.assert_allclose(actions.std(axis=0), [0.5, 2.0], rtol=0.03)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), scale=st.floats(0.0, 80.0))
@settings(max_examples=60, deadline=None)
def test_an_illegal_action_is_never_drawn(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((50, n)) < 0.1
    masks[np.arange(50), rng.integers(0, n, 50)] = True
    logits = rng.normal(0.0, scale, (50, n)).astype(np.float32)
    for generator in (rng, None):
        actions, log_probs = actor.Categorical((n,)).decide(logits, generator, masks)
        assert masks[np.arange(50), actions[:, 0]].all()
        assert np.isfinite(log_probs).all()


def test_the_largest_uniform_number_still_draws_a_legal_action() -> None:
    class Edge:
        def random(self, n: int) -> np.ndarray:
            return np.full(n, np.nextafter(1.0, 0.0))

    logits = np.random.default_rng(0).normal(0.0, 1.0, (500, 9)).astype(np.float32)
    masks = np.ones((500, 9), bool)
    masks[:, [0, 8]] = False
    actions, _ = actor.Categorical((9,)).decide(logits, Edge(), masks)  # type: ignore[arg-type]
    assert (actions == 7).all()
