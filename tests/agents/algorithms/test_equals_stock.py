"""With a critic that answers a constant V, training is stock PPO's, bit for bit.

The reference is SB3's own PPO (MaskablePPO), untouched, with a value head frozen at V. Acting and shuffling
are put back on the process-wide generators here, so that the two runs can draw the same numbers: what is
compared is everything else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed

from agents import EnsemblePPO, MaskableEnsemblePPO

from .worlds import BOX, DISCRETE, MULTI, ConstantCritic, TinyWorld

V = -0.7
UPDATES = 3
SETTINGS: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 3, "ent_coef": 0.01, "seed": 5}


class NormalizedBuffer(RolloutBuffer):
    """SB3's buffer and GAE, then mean 0 and deviation 1 over the whole rollout."""

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        a = self.advantages.astype(np.float32)
        mean, std = np.mean(a.ravel(), dtype=np.float64), np.std(a.ravel(), dtype=np.float64)
        self.advantages = ((a - mean) / (std + 1e-8)).astype(np.float32)


class NormalizedMaskableBuffer(NormalizedBuffer, MaskableRolloutBuffer):
    pass


def ours(kind: str, space: spaces.Space, address: Callable[..., str], normalize: bool) -> OnPolicyAlgorithm:
    world = TinyWorld(space)
    algorithm = EnsemblePPO if kind == "ppo" else MaskableEnsemblePPO
    critic = address(ConstantCritic(V, world))
    model = algorithm("MlpPolicy", world, critic=critic, normalize_advantage=normalize, **SETTINGS)
    model.policy.generator = None
    model.rollout_buffer.generator = None
    return model


def stock(kind: str, space: spaces.Space, normalize: bool) -> OnPolicyAlgorithm:
    buffers: dict[str, type[RolloutBuffer] | None] = {
        "ppo": NormalizedBuffer,
        "maskable": NormalizedMaskableBuffer,
    }
    model = (PPO if kind == "ppo" else MaskablePPO)(
        "MlpPolicy",
        TinyWorld(space),
        vf_coef=0.0,
        normalize_advantage=False,
        rollout_buffer_class=buffers[kind] if normalize else None,
        policy_kwargs={"net_arch": {"pi": [128, 128], "vf": []}},
        device="cpu",
        **SETTINGS,
    )
    head = model.policy.value_net
    head.weight.data.zero_()
    head.bias.data.fill_(V)
    head.requires_grad_(False)
    return model


def learn(model: OnPolicyAlgorithm) -> OnPolicyAlgorithm:
    set_random_seed(11)
    return model.learn(UPDATES * 32 * model.n_envs)


def parameters(model: OnPolicyAlgorithm) -> dict[str, np.ndarray]:
    state = model.policy.state_dict()
    return {name: tensor.numpy().copy() for name, tensor in state.items() if "value_net" not in name}


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("kind", "space"),
    [("ppo", BOX), ("ppo", DISCRETE), ("ppo", MULTI), ("maskable", DISCRETE), ("maskable", MULTI)],
)
def test_a_constant_critic_gives_the_parameters_of_stock_ppo(
    kind: str, space: spaces.Space, normalize: bool, critic: Callable[..., str]
) -> None:
    mine, theirs = ours(kind, space, critic, normalize), stock(kind, space, normalize)
    initial = parameters(mine)
    assert all(np.array_equal(initial[name], array) for name, array in parameters(theirs).items())
    learn(mine)
    learn(theirs)
    assert mine.num_timesteps == theirs.num_timesteps == UPDATES * 128
    assert np.array_equal(mine.rollout_buffer.returns, theirs.rollout_buffer.returns)
    expected = parameters(theirs)
    final = parameters(mine)
    assert final.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(final[name], array), name
    assert not np.array_equal(final["action_net.weight"], initial["action_net.weight"])


def test_a_critic_that_ignores_truncation_gives_other_parameters(critic: Callable[..., str]) -> None:
    """The equality above would not notice if truncation never mattered."""
    right = learn(ours("ppo", BOX, critic, normalize=True))
    world = TinyWorld(BOX)
    wrong = EnsemblePPO("MlpPolicy", world, critic=critic(ConstantCritic(V)), **SETTINGS)
    wrong.policy.generator = wrong.rollout_buffer.generator = None
    learn(wrong)
    assert not np.array_equal(parameters(right)["action_net.weight"], parameters(wrong)["action_net.weight"])


def test_as_shipped_it_equals_stock_ppo_that_acts_and_shuffles_alike(
    critic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with the numpy actor and the agent's own generators, lent to stock PPO as well."""
    world = TinyWorld(BOX)
    mine = EnsemblePPO("MlpPolicy", world, critic=critic(ConstantCritic(V, world)), **SETTINGS)
    theirs = stock("ppo", BOX, normalize=True)
    twin = copy.deepcopy(mine.policy)
    generators = copy.deepcopy(mine.generators)
    twin.generator = generators.acting

    def act(obs: th.Tensor) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        twin.load_state_dict(
            {name: t for name, t in theirs.policy.state_dict().items() if "value_net" not in name}
        )
        actions, values, log_probs = twin.forward(obs)
        return actions, values + V, log_probs

    monkeypatch.setattr(theirs.policy, "forward", act)
    learn(mine)
    with monkeypatch.context() as patch:
        patch.setattr(np.random, "permutation", generators.minibatches.permutation)
        learn(theirs)
    for name, array in parameters(theirs).items():
        assert np.array_equal(parameters(mine)[name], array), name
