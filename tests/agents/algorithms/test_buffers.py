"""The rollout buffer asks the critic about the right rollout, and takes only answers that fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.logger import configure

from agents import AgentsError, EnsemblePPO, MaskableEnsemblePPO, sources
from agents.buffers import EnsembleRolloutBuffer, MaskableEnsembleRolloutBuffer
from agents.errors import CriticError

from .worlds import BOX, DISCRETE, ConstantCritic, TinyWorld

OBSERVATIONS = spaces.Box(-1.0, 1.0, (1,), np.float32)


class Answer:
    """A critic that gives prepared advantages and zero values."""

    def __init__(self, advantages: np.ndarray) -> None:
        self.answer = advantages.astype(np.float32)

    def advantages(self, rewards: np.ndarray, dones: np.ndarray, *_: float) -> tuple[np.ndarray, ...]:
        return np.zeros_like(self.answer), self.answer, self.answer.copy()


def filled(
    buffer: EnsembleRolloutBuffer, starts: np.ndarray, rewards: np.ndarray, masks: np.ndarray | None = None
):
    for t in range(buffer.buffer_size):
        extra = {} if masks is None else {"action_masks": masks[t]}
        zeros = th.zeros(buffer.n_envs)
        obs = np.full((buffer.n_envs, 1), t, np.float32)
        buffer.add(obs, np.zeros((buffer.n_envs, 1)), rewards[t], starts[t], zeros, zeros, **extra)
    return buffer


def test_done_marks_the_step_that_ended_the_episode(critic: Callable[..., str]) -> None:
    source = ConstantCritic()
    buffer = EnsembleRolloutBuffer(4, OBSERVATIONS, BOX, "cpu", n_envs=2, critic=critic(source))
    starts = np.array([[1, 1], [0, 0], [1, 0], [0, 0]], bool)  # copy 0 starts anew at step 2
    buffer.action_dim = 1
    buffer.actions = np.zeros((4, 2, 1))
    filled(buffer, starts, np.ones((4, 2), np.float32))
    buffer.compute_returns_and_advantage(th.zeros(2), np.array([False, True]))
    _, dones = source.asked[0]
    assert dones.dtype == bool
    assert dones.tolist() == [[False, False], [True, False], [False, False], [False, True]]


def test_dones_and_rewards_are_those_the_world_gave(critic: Callable[..., str]) -> None:
    world, source = TinyWorld(BOX), ConstantCritic()
    given: list[tuple[np.ndarray, np.ndarray]] = []
    step = world.step_wait

    def record() -> tuple[object, ...]:
        obs, rewards, dones, infos = step()
        given.append((rewards.copy(), dones.copy()))
        return obs, rewards, dones, infos

    world.step_wait = record  # type: ignore[method-assign]
    EnsemblePPO("MlpPolicy", world, critic=critic(source), n_steps=32, batch_size=64, n_epochs=1).learn(
        2 * 128
    )
    rewards = np.concatenate([asked[0] for asked in source.asked])
    dones = np.concatenate([asked[1] for asked in source.asked])
    assert np.array_equal(rewards, [r for r, _ in given])
    assert np.array_equal(dones, [d for _, d in given])
    assert np.stack(world.truncations).any()  # where SB3 adds gamma * V(final), which is 0 here


def test_rewards_hold_no_negative_zero(critic: Callable[..., str]) -> None:
    source = ConstantCritic()
    buffer = EnsembleRolloutBuffer(2, OBSERVATIONS, DISCRETE, "cpu", n_envs=1, critic=critic(source))
    filled(buffer, np.zeros((2, 1)), np.array([[-0.0], [-2.0]], np.float32))
    buffer.compute_returns_and_advantage(th.zeros(1), np.array([False]))
    rewards, _ = source.asked[0]
    assert not np.signbit(rewards[0, 0])
    assert rewards[1, 0] == -2.0
    assert rewards.dtype == np.float32


def test_advantages_are_normalized_over_the_whole_rollout(critic: Callable[..., str]) -> None:
    raw = np.random.default_rng(0).normal(5.0, 3.0, (64, 4))
    buffer = EnsembleRolloutBuffer(64, OBSERVATIONS, DISCRETE, "cpu", n_envs=4, critic=critic(Answer(raw)))
    filled(buffer, np.zeros((64, 4)), np.zeros((64, 4)))
    buffer.compute_returns_and_advantage(th.zeros(4), np.zeros(4, bool))
    assert abs(buffer.advantages.mean()) < 1e-6
    assert abs(buffer.advantages.std() - 1.0) < 1e-5
    np.testing.assert_allclose(buffer.returns, raw, rtol=1e-6)
    assert buffer.advantage_mean == pytest.approx(raw.mean())
    batches = list(buffer.get(32))
    assert any(abs(batch.advantages.mean()) > 0.02 for batch in batches)  # not per minibatch


def test_forced_actions_take_no_part(critic: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(0.0, 1.0, (50, 2))
    masks = np.zeros((50, 2, 3), bool)
    masks[:, :, 0] = True
    choice = rng.random((50, 2)) < 0.2
    masks[choice, 1] = True
    raw[~choice] += 1000.0  # were they in the mean, it would show
    buffer = MaskableEnsembleRolloutBuffer(
        50, OBSERVATIONS, spaces.Discrete(3), "cpu", n_envs=2, critic=critic(Answer(raw))
    )
    filled(buffer, np.zeros((50, 2)), np.zeros((50, 2)), masks)
    buffer.compute_returns_and_advantage(th.zeros(2), np.zeros(2, bool))
    expected = (raw[choice] - raw[choice].mean()) / raw[choice].std()
    np.testing.assert_allclose(buffer.advantages[choice], expected, rtol=1e-4, atol=1e-5)
    assert not buffer.advantages[~choice].any()

    buffer.generator = np.random.default_rng(0)
    batches = list(buffer.get(8))
    sizes = [len(batch.advantages) for batch in batches]
    assert sum(sizes) == choice.sum()
    assert max(sizes) - min(sizes) <= 1
    together = np.sort(np.concatenate([batch.advantages.numpy() for batch in batches]))
    np.testing.assert_allclose(together, np.sort(expected), rtol=1e-4, atol=1e-5)


def test_one_choice_of_several_is_a_choice(critic: Callable[..., str]) -> None:
    space = spaces.MultiDiscrete([2, 3])
    buffer = MaskableEnsembleRolloutBuffer(
        3, OBSERVATIONS, space, "cpu", n_envs=1, critic=critic(Answer(np.eye(3, 1)))
    )
    buffer.action_masks = np.array([[[1, 0, 1, 0, 0]], [[1, 1, 0, 0, 1]], [[0, 1, 1, 1, 0]]], np.float32)
    buffer.pos, buffer.full = 3, True
    buffer.compute_returns_and_advantage(th.zeros(1), np.zeros(1, bool))
    assert buffer.choice.tolist() == [[False], [True], [True]]


class OneChoice(TinyWorld):
    """Once forced, every action is, but for one of copy 0 in eight ticks."""

    def _observe(self) -> np.ndarray:
        seen = super()._observe()
        self.ticks = getattr(self, "ticks", 0) + 1
        self.no_choice[0] &= self.ticks % 16 != 0  # a tick observes twice
        return seen


@pytest.mark.parametrize("kind", [TinyWorld, OneChoice], ids=["none", "one"])
def test_a_rollout_without_a_choice_that_is_better_than_another_changes_nothing(
    kind: type[TinyWorld], critic: Callable[..., str]
) -> None:
    world = kind(DISCRETE)
    model = MaskableEnsemblePPO(
        "MlpPolicy", world, critic=critic(), n_steps=8, batch_size=16, ent_coef=0.01, seed=0
    )
    model.learn(32)  # so that the optimizer has momentum
    before = model.policy.parameters_to_vector()
    world.forced = 1.0
    model.drop_rollout()
    model.learn(64, reset_num_timesteps=False)
    assert model.rollout_buffer.choice.sum() == (kind is OneChoice)
    assert np.array_equal(model.policy.parameters_to_vector(), before)


@pytest.mark.parametrize("broken", ["shape", "nan"])
def test_an_answer_that_does_not_fit_is_refused(broken: str, critic: Callable[..., str]) -> None:
    answer = np.zeros((3, 2)) if broken == "shape" else np.full((4, 2), np.nan)
    buffer = EnsembleRolloutBuffer(4, OBSERVATIONS, DISCRETE, "cpu", n_envs=2, critic=critic(Answer(answer)))
    filled(buffer, np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(CriticError, match=r"expected \(steps, copies\)|not all finite"):
        buffer.compute_returns_and_advantage(th.zeros(2), np.zeros(2, bool))


def test_an_address_is_used_once_and_forgotten(critic: Callable[..., str]) -> None:
    address = critic()
    assert isinstance(sources.lookup(address), ConstantCritic)
    with pytest.raises(CriticError, match="registered already"):
        sources.register(address, ConstantCritic())
    sources.unregister(address)
    with pytest.raises(AgentsError, match="no advantage source is registered under 'local://critic-0'"):
        sources.lookup(address)


def test_an_algorithm_without_a_critic_says_what_to_do() -> None:
    with pytest.raises(AgentsError, match="pass critic=address"):
        EnsemblePPO("MlpPolicy", TinyWorld(BOX), n_steps=16)


def test_the_environment_may_know_its_critic(critic: Callable[..., str]) -> None:
    world, source = TinyWorld(DISCRETE), ConstantCritic()
    world.advantage_address = critic(source)
    world.has_attr = lambda name: hasattr(world, name)  # type: ignore[method-assign]
    EnsemblePPO("MlpPolicy", world, n_steps=16, batch_size=64).learn(64)
    assert len(source.asked) == 1


def test_the_log_has_no_value_loss(critic: Callable[..., str], tmp_path: Path) -> None:
    model = EnsemblePPO("MlpPolicy", TinyWorld(BOX), critic=critic(), n_steps=16, batch_size=64, n_epochs=1)
    model.set_logger(configure(str(tmp_path), ["json", "csv", "log", "tensorboard"]))
    model.learn(3 * 64)
    model.logger.close()
    keys = json.loads((tmp_path / "progress.json").read_text().splitlines()[-1]).keys()
    assert {"train/approx_kl", "train/explained_variance", "rollout/advantage_std"} <= keys
    assert "train/value_loss" not in keys
