"""The critic learns value functions that are known in closed form, and keeps what it learned on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.critic import checkpoint
from agents.critic.errors import CheckpointError, DigestError, RolloutError
from agents.critic.independent import IndependentCritic
from agents.critic.settings import CriticSettings

GAMMA = 0.9
SETTINGS = CriticSettings(hidden=(32, 32), minibatch_size=128, epochs=4)
# A ring of 5 states: forward with probability 0.7, else stay; entering state 0 pays 1; constant offset -2.
P = 0.3 * np.eye(5) + 0.7 * np.roll(np.eye(5), 1, axis=1)
REWARD_INTO = np.array([-1.0, -2.0, -2.0, -2.0, -2.0])
LEAVING_0_PAYS_NOTHING = np.array([[0.3 if i == 0 else 0.0] for i in range(5)])  # staying in 0 is no entering


class Chain:
    """E walkers on the ring, cut off (not ended) after every 10 steps."""

    def __init__(self, n_envs: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.at = self.rng.integers(5, size=n_envs)
        self.ticks = np.zeros(n_envs, int)

    @staticmethod
    def true_values() -> np.ndarray:
        expected = P @ REWARD_INTO - LEAVING_0_PAYS_NOTHING[:, 0]
        return np.linalg.solve(np.eye(5) - GAMMA * P, expected)

    def obs(self) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[self.at]

    def step(self) -> tuple[np.ndarray, ...]:
        before = self.at.copy()
        self.at = (self.at + (self.rng.random(len(self.at)) < 0.7)) % 5
        reward = REWARD_INTO[self.at] - ((before == 0) & (self.at == 0))
        self.ticks += 1
        truncated = self.ticks % 10 == 0
        final = self.obs()
        self.at = np.where(truncated, self.rng.integers(5, size=len(self.at)), self.at)
        return self.obs(), reward.astype(np.float32), np.zeros_like(truncated), truncated, final


def learn(critic: IndependentCritic, chain: Chain, n_rollouts: int, n_steps: int = 32) -> None:
    for _ in range(n_rollouts):
        steps = [chain.step() for _ in range(n_steps)]
        for step in steps:
            critic.record(*step)
        critic.advantages(np.stack([s[1] for s in steps]), np.stack([s[3] for s in steps]), GAMMA, 0.9)


def started(chain: Chain, settings: CriticSettings = SETTINGS) -> IndependentCritic:
    critic = IndependentCritic("walker", 5, settings)
    n = len(chain.at)
    critic.record(chain.obs(), np.zeros(n), np.zeros(n, bool), np.zeros(n, bool), None)
    return critic


@pytest.mark.parametrize(("popart", "n_rollouts"), [(True, 60), (False, 250)])
def test_it_learns_the_values_of_a_markov_chain_that_is_only_ever_cut_off(popart, n_rollouts):
    chain = Chain(n_envs=8)
    critic = started(chain, replace(SETTINGS, popart=popart))
    learn(critic, chain, n_rollouts)
    learned = critic.trainer.values(np.eye(5, dtype=np.float32))[:, 0]
    truth = Chain.true_values()

    assert np.ptp(truth) > 0.3
    assert np.abs(truth).min() > 10.0  # which a critic that took cut off for ended could not reach
    np.testing.assert_allclose(learned, truth, atol=0.25)


def test_a_checkpoint_continues_bit_for_bit(tmp_path):
    def run(restart: bool) -> dict[str, torch.Tensor]:
        chain = Chain(n_envs=4)
        critic = started(chain)
        learn(critic, chain, 3)
        if restart:
            checkpoint.save(tmp_path / "models" / "critic.pt", critic.state_dict())
            critic = started(chain)
            critic.load_state_dict(checkpoint.load(tmp_path / "models" / "critic.pt"))
        learn(critic, chain, 3)
        return critic.trainer.network.state_dict()

    straight, resumed = run(restart=False), run(restart=True)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["critic.pt"]


def test_an_interrupted_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "critic.pt"
    checkpoint.save(path, {"version": 1})

    def torn(_state: object, file: object) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"version": 2})

    assert checkpoint.load(path)["version"] == 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken zip"])
def test_damaged_checkpoints_are_named(tmp_path, content):
    path = tmp_path / "critic.pt"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"critic\.pt: cannot be read"):
        checkpoint.load(path)


def test_checkpoints_never_run_code(tmp_path):
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("code from the file was run",))

    path = tmp_path / "critic.pt"
    torch.save({"format": 1, "evil": Evil()}, path)

    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_an_independent_critic_refuses_what_it_has_not_seen():
    chain = Chain(n_envs=2)
    critic = started(chain)
    steps = [chain.step() for _ in range(4)]
    for step in steps:
        critic.record(*step)
    rewards, dones = np.stack([s[1] for s in steps]), np.stack([s[3] for s in steps])

    with pytest.raises(DigestError, match=r"walker.*not those recorded"):
        critic.advantages(rewards + 1, dones, GAMMA, 0.9)
    with pytest.raises(RolloutError, match="asked for 8 steps, 5 observations are recorded"):
        critic.advantages(np.tile(rewards, (2, 1)), np.tile(dones, (2, 1)), GAMMA, 0.9)
    critic.restart()
    with pytest.raises(RolloutError, match="0 observations"):
        critic.advantages(rewards, dones, GAMMA, 0.9)
