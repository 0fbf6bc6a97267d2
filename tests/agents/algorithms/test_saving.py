"""One agent's zip: loadable by plain SB3, and resumable to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO
from agents.ensemble_files import policy_sha256

from .test_own_generators import KINDS, build
from .worlds import TinyWorld

STOCK = {"ppo": PPO, "maskable": MaskablePPO, "recurrent": RecurrentPPO}
OURS = {"ppo": EnsemblePPO, "maskable": MaskableEnsemblePPO, "recurrent": RecurrentEnsemblePPO}
OBSERVATIONS = np.random.default_rng(0).normal(0.0, 1.0, (20, 3)).astype(np.float32)


def predictions(model: BaseAlgorithm) -> np.ndarray:
    """Deterministic actions on a batch, one by one, and (for an LSTM) along an episode."""
    batch, _ = model.predict(OBSERVATIONS, deterministic=True)
    state, single = None, []
    for obs in OBSERVATIONS:
        action, state = model.predict(obs, state=state, deterministic=True)
        single.append(action)
    return np.concatenate([np.asarray(batch, float).ravel(), np.asarray(single, float).ravel()])


@pytest.mark.parametrize("kind", KINDS)
def test_plain_sb3_loads_the_zip_and_predicts_the_same(
    kind: str, critic: Callable[..., str], tmp_path: Path
) -> None:
    model = build(kind, critic())
    model.learn(2 * 64)
    model.save(tmp_path / "agent.zip")
    loaded = STOCK[kind].load(tmp_path / "agent.zip", device="cpu")
    assert type(loaded) is STOCK[kind]
    assert policy_sha256(loaded.policy) == policy_sha256(model.policy)
    assert np.array_equal(predictions(loaded), predictions(model))
    sampled = {float(np.sum(loaded.predict(OBSERVATIONS)[0])) for _ in range(8)}
    assert len(sampled) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_equals_one_without_a_break(
    kind: str, critic: Callable[..., str], tmp_path: Path
) -> None:
    address = critic()
    whole = build(kind, address).learn(5 * 64)
    half = build(kind, address).learn(3 * 64)
    half.save(tmp_path / "agent.zip")
    world = copy.deepcopy(half.env)
    half.learn(64, reset_num_timesteps=False)  # what happens to it afterwards must not matter
    resumed = OURS[kind].load(tmp_path / "agent.zip", env=world, critic=address, force_reset=False)
    resumed.learn(2 * 64, reset_num_timesteps=False)
    assert resumed.num_timesteps == whole.num_timesteps
    assert policy_sha256(resumed.policy) == policy_sha256(whole.policy)
    moments = resumed.policy.optimizer.state_dict()["state"][0]["exp_avg"]
    assert moments.equal(whole.policy.optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_loaded_agent_finds_its_critic_again(critic: Callable[..., str], tmp_path: Path) -> None:
    first, second = critic(), critic()
    build("ppo", first).save(tmp_path / "agent.zip")
    assert (
        EnsemblePPO.load(tmp_path / "agent.zip", env=TinyWorld(KINDS["ppo"][2])).rollout_buffer.critic
        == first
    )
    given = EnsemblePPO.load(tmp_path / "agent.zip", env=TinyWorld(KINDS["ppo"][2]), critic=second)
    assert given.rollout_buffer.critic == second
    knowing = TinyWorld(KINDS["ppo"][2])
    knowing.advantage_address = second
    knowing.has_attr = lambda name: hasattr(knowing, name)  # type: ignore[method-assign]
    alone = EnsemblePPO.load(tmp_path / "agent.zip")
    alone.set_env(knowing)
    assert alone.rollout_buffer.critic == second
    alone.learn(64)


def test_a_callback_may_leave_in_mid_rollout_and_learning_goes_on(critic: Callable[..., str]) -> None:
    model = build("ppo", critic())
    model.learn(64, callback=lambda *_: False)
    assert model.num_timesteps == 4
    model.drop_rollout()
    before = policy_sha256(model.policy)
    model.learn(64, reset_num_timesteps=False)
    assert policy_sha256(model.policy) != before
