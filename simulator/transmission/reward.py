"""Rewards: staying alive, room on the lines, no overload; one for the team, or one per cluster.

    r = survival + margin * mean over lines of max(0, 1 - rho^2)
                 - overload * sum over lines of max(0, rho - from)

and the game-over reward in the step that ends in a blackout. A line out of service has no margin, so that
taking lines out does not pay. The margin is that of the first L2RPN challenge (Marot et al., "Learning to
run a power network challenge for training topology controllers", Electric Power Systems Research 189, 2020;
grid2op.Reward.L2RPNReward).
"""

from __future__ import annotations

import numpy as np

from simulator.frame import Bool, Float32
from simulator.transmission.clusters import Clusters
from simulator.transmission.options import Options
from simulator.transmission.types import Layout, System


class Rewards:
    """The rewards of all agents."""

    def __init__(self, system: System, clusters: Clusters, options: Options, cluster_of: list[int]) -> None:
        """Set up; `cluster_of` is the cluster of every agent."""
        self._layout = Layout(system)
        self._options = options
        n = len(clusters.names)
        member = clusters.line[None, :] == np.arange(n)[:, None]
        if options.reward == "shared":
            member = np.ones((1, system.n_line), dtype=bool)
        self._lines = member.astype(np.float32)  # (groups, n_line)
        self._mean = self._lines / np.maximum(self._lines.sum(axis=1, keepdims=True), 1.0)
        self._group = [0 if options.reward == "shared" else cluster for cluster in cluster_of]

    def of(self, rows: Float32, terminated: Bool) -> Float32:
        """Return (E, n_agents): the rewards of the step that ended in rows (E, width)."""
        options = self._options
        rho = self._layout.view(rows, "rho")
        in_service = self._layout.view(rows, "line_status")
        margin = (np.maximum(0.0, 1.0 - rho**2) * in_service) @ self._mean.T
        overload = np.maximum(0.0, rho - options.reward_overload_from) @ self._lines.T
        alive = options.reward_survival + options.reward_margin * margin - options.reward_overload * overload
        out = np.where(terminated[:, None], options.reward_game_over, alive)
        return out[:, self._group].astype(np.float32)
