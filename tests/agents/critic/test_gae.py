"""Advantages against their definition, and against each mistake known from published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer

from agents.critic.gae import beside_siblings, bootstrap_values, gae

GAMMA, LAM = 0.9, 0.8


class Rollout:
    """T steps of E copies with random numbers and ends."""

    def __init__(self, seed: int, n_steps: int = 12, n_envs: int = 4, p_end: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        self.rewards = rng.normal(size=(n_steps, n_envs)).astype(np.float32)
        self.values = rng.normal(size=(n_steps + 1, n_envs)).astype(np.float32)  # V(s_0) .. V(s_T)
        self.final_values = rng.normal(size=(n_steps, n_envs)).astype(np.float32)
        self.terminated = rng.random((n_steps, n_envs)) < p_end
        self.truncated = rng.random((n_steps, n_envs)) < p_end

    def ours(self, gamma: float = GAMMA, lam: float = LAM) -> np.ndarray:
        next_values = bootstrap_values(self.values, self.final_values, self.truncated)
        return gae(self.rewards, self.values[:-1], next_values, self.terminated, self.truncated, gamma, lam)


def lambda_return_advantages(rollout: Rollout, gamma: float = GAMMA, lam: float = LAM) -> np.ndarray:
    """Return advantages as the λ-weighted mean of explicit n-step returns minus V, one trajectory at a time.

    Nothing here is recursive in time: A_t = (1−λ) Σ_n λ^{n−1} G_t^{(n)} + λ^{N−1} G_t^{(N)} − V(s_t), with N
    the steps left until the episode or the rollout ends.
    """
    n_steps, n_envs = rollout.rewards.shape
    out = np.zeros((n_steps, n_envs))
    for env in range(n_envs):
        done = rollout.terminated[:, env] | rollout.truncated[:, env]
        for t in range(n_steps):
            ends = [k for k in range(t, n_steps) if done[k]]
            last = ends[0] if ends else n_steps - 1
            returns = []
            for n in range(1, last - t + 2):
                k = t + n - 1
                after = float(rollout.values[k + 1, env])
                if rollout.terminated[k, env]:
                    after = 0.0
                elif rollout.truncated[k, env]:
                    after = float(rollout.final_values[k, env])
                earned = sum(gamma**i * float(rollout.rewards[t + i, env]) for i in range(n))
                returns.append(earned + gamma**n * after)
            weights = [(1 - lam) * lam**i for i in range(len(returns) - 1)] + [lam ** (len(returns) - 1)]
            out[t, env] = np.dot(weights, returns) - rollout.values[t, env]
    return out


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    p_end=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    gamma=st.sampled_from([0.0, 0.9, 1.0]),
    lam=st.sampled_from([0.0, 0.8, 1.0]),
)
def test_advantages_are_the_weighted_mean_of_n_step_returns(seed, p_end, gamma, lam):
    rollout = Rollout(seed, p_end=p_end)

    np.testing.assert_allclose(
        rollout.ours(gamma, lam), lambda_return_advantages(rollout, gamma, lam), rtol=1e-4, atol=1e-4
    )


def recursion(rollout: Rollout, bootstrap: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Return the GAE recursion for whatever bootstrap values and dones a (mistaken) reader would use."""
    out = np.zeros_like(rollout.rewards)
    following = np.zeros(rollout.rewards.shape[1])
    for t in reversed(range(len(out))):
        delta = rollout.rewards[t] + GAMMA * bootstrap[t] - rollout.values[t]
        following = delta + GAMMA * LAM * (1 - done[t]) * following
        out[t] = following
    return out


def done_of_the_next_step(rollout: Rollout) -> np.ndarray:
    """`dones[t+1]` where `dones[t]` belongs."""
    done = rollout.terminated | rollout.truncated
    shifted = np.concatenate([done[1:], np.zeros_like(done[:1])])
    return recursion(rollout, rollout.values[1:] * ~shifted, shifted)


def bootstrap_from_the_last_stored_state(rollout: Rollout) -> np.ndarray:
    """V(s_{T−1}), the last stored, instead of V(s_T), the next one."""
    next_values = bootstrap_values(rollout.values, rollout.final_values, rollout.truncated)
    next_values[-1] = np.where(rollout.truncated[-1], next_values[-1], rollout.values[-2])
    done = rollout.terminated | rollout.truncated
    return recursion(rollout, np.where(rollout.terminated, 0, next_values), done)


def truncation_as_termination(rollout: Rollout) -> np.ndarray:
    """Nothing is to come after an episode that was only cut off."""
    done = rollout.terminated | rollout.truncated
    return recursion(rollout, rollout.values[1:] * ~done, done)


def truncation_bootstraps_from_the_new_episode(rollout: Rollout) -> np.ndarray:
    """V of the first state after the automatic reset instead of V of the state that was cut off."""
    done = rollout.terminated | rollout.truncated
    return recursion(rollout, rollout.values[1:] * ~rollout.terminated, done)


@pytest.mark.parametrize(
    "mistaken",
    [
        done_of_the_next_step,
        bootstrap_from_the_last_stored_state,
        truncation_as_termination,
        truncation_bootstraps_from_the_new_episode,
    ],
)
def test_published_mistakes_are_not_repeated(mistaken):
    rollout = Rollout(seed=3)
    wrong, right = mistaken(rollout), lambda_return_advantages(rollout)

    assert np.abs(wrong - right).max() > 0.05
    np.testing.assert_allclose(rollout.ours(), right, rtol=1e-4, atol=1e-5)


def test_termination_has_precedence_over_truncation():
    rollout = Rollout(seed=1)
    rollout.terminated[:] = rollout.truncated[:] = True

    np.testing.assert_allclose(rollout.ours(), rollout.rewards - rollout.values[:-1], rtol=1e-6)


def test_nothing_flows_from_one_episode_into_the_one_before():
    rollout = Rollout(seed=2, p_end=0.0)
    rollout.truncated[5] = True
    before = rollout.ours()
    rollout.rewards[6:] += 100.0
    rollout.values[6:] -= 50.0

    np.testing.assert_array_equal(rollout.ours()[:6], before[:6])
    assert (rollout.ours()[6:] != before[6:]).all()


def test_equal_to_stable_baselines3_bit_for_bit():
    rollout = Rollout(seed=4, n_steps=64, n_envs=3)
    box = spaces.Box(-1, 1, (1,))
    buffer = RolloutBuffer(64, box, box, device="cpu", gamma=GAMMA, gae_lambda=LAM, n_envs=3)
    done = rollout.terminated | rollout.truncated
    started = np.ones(3)
    for t in range(64):
        cut = rollout.truncated[t] & ~rollout.terminated[t]
        rewards = rollout.rewards[t] + np.float32(GAMMA) * rollout.final_values[t] * cut
        values, log_probs = torch.from_numpy(rollout.values[t]), torch.zeros(3)
        buffer.add(np.zeros((3, 1)), np.zeros((3, 1)), rewards, started, values, log_probs)
        started = done[t]
    buffer.compute_returns_and_advantage(torch.from_numpy(rollout.values[64]), done[63])

    np.testing.assert_array_equal(rollout.ours(), buffer.advantages)


def test_advantages_beside_siblings_leave_out_the_own():
    rng = np.random.default_rng(0)
    advantages = rng.normal(size=(3, 6)).astype(np.float32)
    expected = advantages.copy()
    for t in range(3):
        for e in range(6):
            group = range(e // 3 * 3, e // 3 * 3 + 3)
            expected[t, e] -= np.mean([advantages[t, other] for other in group if other != e])
    assert np.allclose(beside_siblings(advantages, 3), expected, atol=1e-6)
    assert beside_siblings(advantages, 1) is advantages


def test_what_siblings_have_in_common_is_no_advantage_and_what_an_action_adds_remains():
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(4, 3)) * 1000, rng.normal(size=(4, 12))
    advantages = (np.repeat(common, 4, axis=1) + own).astype(np.float32)
    compared = beside_siblings(advantages, 4)
    assert np.allclose(compared, beside_siblings(own.astype(np.float32), 4), atol=1e-3)
    assert np.allclose(np.corrcoef(compared.ravel(), own.ravel())[0, 1], 0.75**0.5, atol=0.15)
