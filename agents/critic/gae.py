"""Generalized advantage estimation for rollouts in which episodes end and restart.

Schulman et al., High-dimensional continuous control using generalized advantage estimation (2016),
equations 11 and 16. Row t of every array belongs to the step from s_t to s_{t+1}; `terminated` and
`truncated` in row t say how that very step ended. Copies restart at once, so after a done row the next
row is a new episode. The order of the float32 operations is that of Stable-Baselines3, which makes
the results equal to its own bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


def bootstrap_values(values: Float32, final_values: Float32, truncated: Bool) -> Float32:
    """Return (T, E) what each step may be continued with: V(s_final) where cut off, else V(s_{t+1}).

    Args:
        values: (T + 1, E) V(s_0) .. V(s_T), where s_{t+1} after a done row is the new episode's first state.
        final_values: (T, E) V of the state in which the old episode was cut off; read only where truncated.
        truncated: (T, E).
    """
    return np.where(truncated, final_values, values[1:]).astype(np.float32)


def gae(
    rewards: Float32,
    values: Float32,
    next_values: Float32,
    terminated: Bool,
    truncated: Bool,
    gamma: float,
    lam: float,
) -> Float32:
    """Return (T, E) advantages A_t = δ_t + γλ(1 − done_t) A_{t+1}, δ_t = r_t + γ b_t − V(s_t).

    b_t is 0 where terminated (also where truncated at the same time), else next_values_t.

    Args:
        rewards: (T, E).
        values: (T, E) V(s_t).
        next_values: (T, E) from `bootstrap_values`.
        terminated: (T, E) the task itself ended.
        truncated: (T, E) the episode was only cut off.
        gamma: discount, 0 to 1.
        lam: λ of the exponential average, 0 to 1.
    """
    bootstrap = np.where(terminated, np.float32(0.0), next_values)
    goes_on = 1.0 - (terminated | truncated).astype(np.float32)
    advantages = np.empty_like(rewards)
    following = np.zeros_like(rewards[0])
    for t in range(len(rewards) - 1, -1, -1):
        delta = rewards[t] + gamma * bootstrap[t] - values[t]
        following = delta + gamma * lam * goes_on[t] * following
        advantages[t] = following
    return advantages


def beside_siblings(advantages: Float32, copies_per_scenario: int) -> Float32:
    """Return (T, E) advantages less the mean of the other copies in the same scenario, at the same tick.

    Copies of one scenario meet the same loads, weather and faults, so what they have in common is no merit
    of any action. A sibling's luck does not depend on this copy's action, so the policy gradient keeps its
    expectation and loses the noise of the scenario: a baseline that depends on the input (Mao et al.,
    Variance reduction for reinforcement learning in input-driven environments, ICLR 2019,
    arXiv:1807.02264, section 4), taken from samples in place of a learned function. A copy whose episode
    ended early has other luck than its siblings from then on: no bias, but noise, by m / (m − 1).

    Args:
        advantages: (T, E), siblings side by side.
        copies_per_scenario: m; 1 returns the advantages as they are.
    """
    m = copies_per_scenario
    if m == 1:
        return advantages
    groups = advantages.reshape(len(advantages), -1, m)
    own_share = groups - groups.mean(axis=2, keepdims=True)
    compared: Float32 = (own_share * np.float32(m / (m - 1))).reshape(advantages.shape)
    return compared
