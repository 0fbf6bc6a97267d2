"""Mistakes of published multi-agent PPO code, on the actor's side; each must be impossible here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from agents import EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO
from agents.errors import SetupError
from agents.policies import ActorPolicy

from .test_own_generators import KINDS, build
from .worlds import BOX, DISCRETE, MULTI, TinyWorld

NARROW = spaces.Box(-0.1, 0.1, (2,), np.float32)


def test_actions_are_clipped_for_the_world_but_not_in_the_buffer(critic: Callable[..., str]) -> None:
    """Mistake: the clipped action is stored with the log-probability of the unclipped one."""
    world = TinyWorld(NARROW)
    model = EnsemblePPO("MlpPolicy", world, critic=critic(), n_steps=32, batch_size=128, n_epochs=1, seed=0)
    model.policy.optimizer.param_groups[0]["lr"] = 0.0
    model.lr_schedule = lambda _: 0.0
    model.learn(128)
    buffer = model.rollout_buffer
    stored = buffer.actions.reshape(4, 32, 2).swapaxes(0, 1)
    assert np.abs(stored).max() > 1.0
    assert np.array_equal(np.stack(world.seen), np.clip(stored, -0.1, 0.1))
    _, log_probs, _ = model.policy.evaluate_actions(
        th.from_numpy(buffer.observations), th.from_numpy(buffer.actions)
    )
    np.testing.assert_allclose(buffer.log_probs.ravel(), log_probs.detach(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_ratio_and_advantages_have_the_same_shape(kind: str, critic: Callable[..., str]) -> None:
    """Mistake: [B, 1, 1] against [B, 1] broadcasts to [B, B, 1], and normalized advantages then cancel."""
    model = build(kind, critic())
    model.learn(64)
    batch = next(iter(model.rollout_buffer.get(32)))
    actions = batch.actions.long().flatten() if kind == "maskable" else batch.actions
    extra: tuple[Any, ...] = {
        "ppo": (),
        "maskable": (getattr(batch, "action_masks", None),),
        "recurrent": (getattr(batch, "lstm_states", None), getattr(batch, "episode_starts", None)),
    }[kind]
    _, log_prob, entropy = model.policy.evaluate_actions(batch.observations, actions, *extra)
    ratio = th.exp(log_prob - batch.old_log_prob)
    n = len(batch.advantages)
    assert ratio.shape == batch.advantages.shape == batch.old_log_prob.shape == entropy.shape == (n,)


@pytest.mark.parametrize("space", [BOX, DISCRETE, MULTI], ids=str)
def test_one_step_is_the_policy_gradient(space: spaces.Space, critic: Callable[..., str]) -> None:
    """A first step by plain gradient descent is the mean of A ∇ log π, here summed sample by sample."""
    sgd = {"optimizer_class": th.optim.SGD, "net_arch": [8]}
    model = EnsemblePPO(
        "MlpPolicy",
        TinyWorld(space),
        learning_rate=0.5,
        critic=critic(),
        n_steps=16,
        batch_size=64,
        n_epochs=1,
        max_grad_norm=1e9,
        policy_kwargs=sgd,
        seed=2,
    )
    before = {name: p.detach().clone() for name, p in model.policy.named_parameters()}
    model.learn(64)
    buffer = model.rollout_buffer
    twin = ActorPolicy(model.observation_space, space, lambda _: 0.5, **sgd)
    twin.load_state_dict(before)
    gradient = {name: th.zeros_like(p) for name, p in twin.named_parameters()}
    for i in range(64):
        action = th.from_numpy(buffer.actions[i : i + 1])
        action = action.flatten() if isinstance(space, spaces.Discrete) else action
        _, log_prob, _ = twin.evaluate_actions(th.from_numpy(buffer.observations[i : i + 1]), action)
        grads = th.autograd.grad(log_prob.sum(), list(twin.parameters()))
        for (name, _), grad in zip(twin.named_parameters(), grads, strict=True):
            gradient[name] += float(buffer.advantages[i, 0]) * grad / 64
    for name, after in model.policy.named_parameters():
        np.testing.assert_allclose(
            (after - before[name]).detach(), 0.5 * gradient[name], atol=2e-6, err_msg=name
        )
    assert max(float(g.abs().max()) for g in gradient.values()) > 1e-3


def test_an_agents_update_does_not_know_the_others_ratio(critic: Callable[..., str]) -> None:
    """Mistake: one joint ratio over all agents. The same rollout must give the same update beside anyone."""
    results = []
    for other_rate in (0.0, 3e-2):
        first, other = build("ppo", critic(), seed=1), build("ppo", critic(), seed=2)
        other.lr_schedule = lambda _, rate=other_rate: rate
        for _ in range(3):
            first.learn(64, reset_num_timesteps=False)
            other.learn(64, reset_num_timesteps=False)
        results.append((first.policy.parameters_to_vector(), other.policy.parameters_to_vector()))
    assert np.array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_no_value_network(kind: str, critic: Callable[..., str]) -> None:
    model = build(kind, critic())
    names = [name for name, _ in model.policy.named_parameters()]
    assert not [name for name in names if "value" in name or "critic" in name or "vf" in name]
    assert sum(len(g["params"]) for g in model.policy.optimizer.param_groups) == len(names)
    before = model.policy.state_dict()["action_net.weight"].clone()
    model.learn(64)
    assert all(p.grad is not None for p in model.policy.parameters())
    assert not before.equal(model.policy.state_dict()["action_net.weight"])


@pytest.mark.parametrize(
    ("algorithm", "arguments", "expected"),
    [
        (EnsemblePPO, {"vf_coef": 0.5}, "does not take vf_coef"),
        (EnsemblePPO, {"use_sde": True}, "process-wide generator"),
        (MaskableEnsemblePPO, {"rollout_buffer_class": object}, "does not take rollout_buffer_class"),
        (EnsemblePPO, {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}}}, "values come from the critic"),
        (
            EnsemblePPO,
            {"policy_kwargs": {"share_features_extractor": False}},
            "value network that is not here",
        ),
        (RecurrentEnsemblePPO, {"policy_kwargs": {"enable_critic_lstm": True}}, "LSTM for values"),
    ],
)
def test_what_belongs_to_a_value_network_is_refused(
    algorithm: type[EnsemblePPO], arguments: dict[str, Any], expected: str, critic: Callable[..., str]
) -> None:
    policy, space = ("MlpLstmPolicy", BOX) if algorithm is RecurrentEnsemblePPO else ("MlpPolicy", DISCRETE)
    with pytest.raises(SetupError, match=expected):
        algorithm(policy, TinyWorld(space), critic=critic(), n_steps=16, **arguments)


def test_observations_of_several_parts_are_refused_with_what_to_do(critic: Callable[..., str]) -> None:
    world = TinyWorld(BOX)
    world.observation_space = spaces.Dict({"local": world.observation_space})
    with pytest.raises(SetupError, match=r"got observations Dict\('local'.*FlattenObservation"):
        EnsemblePPO(ActorPolicy, world, critic=critic(), n_steps=16)


def test_a_stock_policy_is_refused(critic: Callable[..., str]) -> None:
    from stable_baselines3.common.policies import ActorCriticPolicy

    with pytest.raises(SetupError, match="subclass ActorPolicy"):
        EnsemblePPO(ActorCriticPolicy, TinyWorld(BOX), critic=critic(), n_steps=16)
