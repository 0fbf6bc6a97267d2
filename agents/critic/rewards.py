"""Who is rewarded for what: raw local rewards mixed into reward signals, one value head per distinct signal.

The simulator publishes raw local rewards, and each agent is told its own. Mixing happens here, and only
here: agents learn from advantages alone, so they never need the mixed reward, and the digest that both
sides compare is over the raw one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.critic.settings import CriticSettings, RewardSharing


@dataclass(frozen=True)
class RewardSignals:
    """The distinct reward signals of an ensemble of n agents; H of them."""

    mixing: NDArray[np.float32]  # (H, n) signal h is Σ_j mixing[h, j] r_j
    head_of: tuple[int, ...]  # (n,) the signal that agent i learns from

    @property
    def n_heads(self) -> int:
        """Return H."""
        return len(self.mixing)

    def mix(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (..., H) signals from (..., n) raw rewards."""
        return np.asarray(rewards @ self.mixing.T, dtype=np.float32)


def hop_distances(agents: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """Return (n, n) hops between agents in the communication graph; inf where there is no way."""
    index = {agent: i for i, agent in enumerate(agents)}
    distances = np.full((len(agents), len(agents)), np.inf)
    for start, agent in enumerate(agents):
        distances[start, start] = 0.0
        frontier = deque([agent])
        while frontier:
            here = frontier.popleft()
            for near in neighbours.get(here, ()):
                if near in index and np.isinf(distances[start, index[near]]):
                    distances[start, index[near]] = distances[start, index[here]] + 1
                    frontier.append(near)
    return distances


def spatial_mixing(distances: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return (n, n) weights α^d_ij of r̃_i = Σ_j α^d_ij r_j.

    α = 0 leaves the local reward, α = 1 gives the sum over all agents, reachable or not.
    Chen et al., PowerNet: multi-agent deep reinforcement learning for scalable powergrid control (2022).
    """
    return np.power(alpha, distances)


def reward_signals(
    settings: CriticSettings, agents: Sequence[str], neighbours: Mapping[str, Sequence[str]]
) -> RewardSignals:
    """Return the signals that `settings.reward` asks for; agents with equal weights share one.

    `shared` is the mean over agents, so that its scale does not grow with their number and rewards
    which are already equal for all stay what they are.
    """
    n = len(agents)
    if settings.reward is RewardSharing.SHARED:
        weights = np.full((n, n), 1.0 / n)
    elif settings.reward is RewardSharing.LOCAL:
        weights = np.eye(n)
    else:
        weights = spatial_mixing(hop_distances(agents, neighbours), settings.alpha)
    heads: dict[bytes, int] = {}
    head_of = tuple(heads.setdefault(row.tobytes(), len(heads)) for row in weights)
    first = [head_of.index(head) for head in range(len(heads))]
    return RewardSignals(weights[first].astype(np.float32), head_of)
