"""Statistics of observations belong to the policy, and move between rollouts only."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

from agents.ensemble_files import policy_sha256
from agents.errors import SetupError
from agents.policies import ActorPolicy, MaskableActorPolicy
from agents.recurrent_policy import RecurrentActorPolicy

from . import test_saving
from .test_actor import BOX, DISCRETE, observations
from .test_actor import build as build_policy
from .test_own_generators import KINDS
from .worlds import TinyWorld

SCALE = np.float32([1e3, 1.0, 1e-3])


class Uneven(TinyWorld):
    """The tiny world, whose observations are of very different sizes and far from 0."""

    def _observe(self) -> np.ndarray:
        return (super()._observe() + 5.0) * SCALE


def build(kind: str, address: str, **changes: Any) -> OnPolicyAlgorithm:
    algorithm, policy, space = KINDS[kind]
    layers = {"lstm_hidden_size": 16} if kind == "recurrent" else {}
    kwargs = {"net_arch": [16], "normalize_observations": True, **layers}
    settings = {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "seed": 3, **changes}
    return algorithm(policy, Uneven(space), critic=address, policy_kwargs=kwargs, **settings)


def statistics(model: OnPolicyAlgorithm) -> tuple[np.ndarray, np.ndarray, float]:
    normalizer = model.policy.pi_features_extractor.normalizer
    return normalizer.mean.numpy().copy(), normalizer.variance.numpy().copy(), float(normalizer.count)


class Watch(BaseCallback):
    """Keeps the rollouts, and the statistics while each was collected."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: list[np.ndarray] = []
        self.during: list[tuple[np.ndarray, np.ndarray, float]] = []
        self.at_start: list[tuple[np.ndarray, np.ndarray, float]] = []

    def _on_rollout_start(self) -> None:
        self.at_start.append(statistics(self.model))

    def _on_rollout_end(self) -> None:
        self.rollouts.append(self.model.rollout_buffer.observations.reshape(-1, 3).copy())
        self.during.append(statistics(self.model))

    def _on_step(self) -> bool:
        return True


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_those_of_all_rollouts_learned_from(kind: str, critic: Callable[..., str]) -> None:
    watch = Watch()
    model = build(kind, critic()).learn(3 * 64, callback=watch)
    assert [count for *_, count in watch.during] == [0, 64, 128]
    for start, end in zip(watch.at_start, watch.during, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(start, end, strict=True))
    mean, variance, count = statistics(model)
    seen = np.concatenate(watch.rollouts).astype(np.float64)
    assert count == len(seen) == 192
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(variance, seen.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_epochs_policy_is_the_one_that_acted(kind: str, critic: Callable[..., str]) -> None:
    """With one epoch of one minibatch, the ratio is 1 at every sample: no divergence, no clipping."""
    model = build(kind, critic(), n_epochs=1, batch_size=64)
    for _ in range(3):
        model.learn(64, reset_num_timesteps=False)
        logged = model.logger.name_to_value
        assert abs(logged["train/approx_kl"]) < 1e-6
        assert logged["train/clip_fraction"] == 0


def test_a_dropped_rollout_leaves_no_trace(critic: Callable[..., str]) -> None:
    model = build("ppo", critic()).learn(64)
    before = policy_sha256(model.policy)
    model.learn(64, callback=lambda *_: False, reset_num_timesteps=False)
    model.drop_rollout()
    assert policy_sha256(model.policy) == before


@pytest.mark.parametrize(
    ("kind", "space"), [(ActorPolicy, BOX), (ActorPolicy, DISCRETE), (MaskableActorPolicy, DISCRETE)], ids=str
)
def test_numpy_and_torch_agree_whatever_the_statistics_are(kind: type[BasePolicy], space: Any) -> None:
    policy = build_policy(kind, space, normalize_observations=True)
    rng = np.random.default_rng(0)
    for n_envs in (1, 64):
        policy.learned_from(rng.normal(rng.normal(0, 3, 7), rng.exponential(2.0, 7), (200, 7)))
        obs = observations(n_envs) * 10.0  # some beyond ten deviations
        actions, _, log_probs = policy(obs)
        with th.no_grad():
            _, expected, _ = policy.evaluate_actions(obs, actions)
        np.testing.assert_allclose(log_probs, expected, rtol=1e-5, atol=1e-5)


def test_numpy_and_torch_agree_behind_an_lstm() -> None:
    policy = build_policy(RecurrentActorPolicy, BOX, normalize_observations=True, lstm_hidden_size=24)
    policy.learned_from(np.random.default_rng(0).normal(2.0, 4.0, (200, 7)))
    state = RNNStates(*[(th.zeros(1, 8, 24), th.zeros(1, 8, 24))] * 2)
    obs, starts = observations(8), th.zeros(8)
    actions, _, log_probs, _ = policy(obs, state, starts)
    with th.no_grad():
        _, expected, _ = policy.evaluate_actions(obs, actions, state, starts)
    np.testing.assert_allclose(log_probs, expected, rtol=1e-5, atol=1e-5)


def test_the_view_follows_statistics_that_move_or_are_loaded() -> None:
    policy, other = (
        build_policy(ActorPolicy, BOX, seed=seed, normalize_observations=True) for seed in (0, 1)
    )
    obs = observations(4)
    seen = [policy(obs, deterministic=True)[0]]
    policy.learned_from(np.random.default_rng(0).normal(2.0, 4.0, (50, 7)))
    seen.append(policy(obs, deterministic=True)[0])
    other.learned_from(np.random.default_rng(1).normal(-1.0, 2.0, (50, 7)))
    policy.load_state_dict(other.state_dict())
    seen.append(policy(obs, deterministic=True)[0])
    assert seen[2].equal(other(obs, deterministic=True)[0])
    assert not seen[0].equal(seen[1])
    twin = copy.deepcopy(policy)
    twin.learned_from(np.random.default_rng(2).normal(9.0, 1.0, (500, 7)))
    assert policy(obs, deterministic=True)[0].equal(seen[2])
    assert not twin(obs, deterministic=True)[0].equal(seen[2])


def test_the_network_sees_no_more_than_ten_deviations() -> None:
    policy = build_policy(ActorPolicy, BOX, normalize_observations=True)
    policy.learned_from(np.random.default_rng(0).normal(0.0, 1.0, (500, 7)))
    far, farther = (policy(th.full((1, 7), size), deterministic=True)[0] for size in (1e3, 1e6))
    assert far.equal(farther)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_sb3_loads_the_statistics_with_the_policy(
    kind: str, critic: Callable[..., str], tmp_path: Path
) -> None:
    model = build(kind, critic()).learn(2 * 64)
    model.save(tmp_path / "agent.zip")
    loaded = test_saving.STOCK[kind].load(tmp_path / "agent.zip", device="cpu")
    assert policy_sha256(loaded.policy) == policy_sha256(model.policy)
    assert np.array_equal(test_saving.predictions(loaded), test_saving.predictions(model))


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_has_the_statistics_of_one_without_a_break(
    kind: str, critic: Callable[..., str], tmp_path: Path
) -> None:
    address = critic()
    whole = build(kind, address).learn(4 * 64)
    half = build(kind, address).learn(2 * 64)
    half.save(tmp_path / "agent.zip")
    resumed = test_saving.OURS[kind].load(
        tmp_path / "agent.zip", env=half.env, critic=address, force_reset=False
    )
    resumed.learn(2 * 64, reset_num_timesteps=False)
    assert policy_sha256(resumed.policy) == policy_sha256(whole.policy)


def test_pictures_and_other_extractors_are_refused() -> None:
    with pytest.raises(SetupError, match="normalize_observations=True is for plain numbers"):
        build_policy(ActorPolicy, BOX, normalize_observations=True, features_extractor_class=FlattenExtractor)
    pictures = spaces.Box(0, 255, (3, 36, 36), np.uint8)
    with pytest.raises(SetupError, match="leave one of the two out"):
        ActorPolicy(pictures, BOX, lambda _: 1.0, normalize_observations=True)
