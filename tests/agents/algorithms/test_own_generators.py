"""An agent draws from its own generators only, so threads of one process repeat what processes do."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents import EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO
from agents.ensemble_files import policy_sha256

from .worlds import BOX, DISCRETE, TinyWorld

KINDS = {
    "ppo": (EnsemblePPO, "MlpPolicy", BOX),
    "maskable": (MaskableEnsemblePPO, "MlpPolicy", DISCRETE),
    "recurrent": (RecurrentEnsemblePPO, "MlpLstmPolicy", BOX),
}


def build(
    kind: str, address: str, seed: int | None = 3, world_seed: int = 0, **changes: int
) -> OnPolicyAlgorithm:
    algorithm, policy, space = KINDS[kind]
    layers = {"lstm_hidden_size": 16} if kind == "recurrent" else {}
    return algorithm(
        policy,
        TinyWorld(space, seed=world_seed, forced=0.2),
        critic=address,
        n_steps=16,
        batch_size=32,
        n_epochs=2,
        seed=seed,
        policy_kwargs={"net_arch": [16], **layers},
        **changes,
    )


def process_state() -> list[object]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (what must not change)
    return [random.getstate(), name, keys.tolist(), rest, th.get_rng_state().tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_process_wide_generators_stay_as_they_were(kind: str, critic: Callable[..., str]) -> None:
    address = critic()
    before = process_state()
    model = build(kind, address)
    model.learn(2 * 64)
    model.predict(model.env.reset())
    assert process_state() == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_policy(kind: str, critic: Callable[..., str]) -> None:
    address = critic()
    first, second, other = build(kind, address), build(kind, address), build(kind, address, seed=4)
    th.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002 (what must not matter)
    hashes = {policy_sha256(model.learn(3 * 64).policy) for model in (first, second)}
    assert len(hashes) == 1
    assert policy_sha256(other.learn(3 * 64).policy) not in hashes


def test_without_a_seed_two_agents_differ(critic: Callable[..., str]) -> None:
    address = critic()
    assert policy_sha256(build("ppo", address, seed=None).policy) != policy_sha256(
        build("ppo", address, seed=None).policy
    )


def test_agents_in_threads_equal_agents_alone(critic: Callable[..., str]) -> None:
    address = critic()
    seeds = range(4)
    alone = [policy_sha256(build("ppo", address, s, world_seed=s).learn(4 * 64).policy) for s in seeds]
    together: dict[int, str] = {}
    gate = threading.Barrier(len(seeds))

    def run(seed: int) -> None:
        th.set_num_threads(1)
        gate.wait(timeout=30)
        model = build("ppo", address, seed, world_seed=seed)
        gate.wait(timeout=30)
        together[seed] = policy_sha256(model.learn(4 * 64).policy)

    threads = [threading.Thread(target=run, args=(seed,), daemon=True) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [together[seed] for seed in seeds] == alone


def test_initial_weights_are_those_of_stock_ppo_with_the_same_seed(critic: Callable[..., str]) -> None:
    mine = EnsemblePPO("MlpPolicy", TinyWorld(BOX), critic=critic(), seed=8, n_steps=16)
    layers = {"net_arch": {"pi": [128, 128], "vf": []}}
    stock = PPO("MlpPolicy", TinyWorld(BOX), seed=8, n_steps=16, policy_kwargs=layers, device="cpu")
    for name, weight in mine.policy.named_parameters():
        assert th.equal(weight, dict(stock.policy.named_parameters())[name]), name


def test_set_random_seed_repeats_sampled_predictions(critic: Callable[..., str]) -> None:
    model = build("ppo", critic())
    obs = model.env.reset()
    model.set_random_seed(5)
    first = [model.predict(obs)[0] for _ in range(3)]
    model.set_random_seed(5)
    assert np.array_equal(first, [model.predict(obs)[0] for _ in range(3)])
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("kind", KINDS)
def test_agents_that_begin_alike_draw_and_learn_on_their_own(kind: str, critic: Callable[..., str]) -> None:
    address = critic()
    models = [build(kind, address, seed=seed, weights_seed=9) for seed in (3, 4)]
    other = build(kind, address, seed=3)
    first, second = (policy_sha256(model.policy) for model in models)
    assert first == second != policy_sha256(other.policy)
    draws = [model.generators.acting.random() for model in models]
    assert draws[0] == other.generators.acting.random() != draws[1]
    assert policy_sha256(models[0].learn(64).policy) != policy_sha256(models[1].learn(64).policy)
