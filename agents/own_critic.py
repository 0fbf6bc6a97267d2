"""A critic of the agent's own (independent PPO): fed with what the agent sees, kept beside its policy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.critic import checkpoint
from agents.critic.independent import IndependentCritic
from broker.messages import Observation

Table = NDArray[np.float32]  # (T, E)


class OwnCritic:
    """A source of advantages that needs nobody else; `see` must be told of every observation."""

    def __init__(self, critic: IndependentCritic) -> None:
        self.critic = critic
        self._last: tuple[int, int] | None = None  # (epoch, tick) recorded last

    def see(self, observation: Observation) -> None:
        """Record one observation, once; a new epoch starts afresh."""
        now = (observation.epoch, observation.tick)
        if now == self._last:
            return
        if self._last is not None and now[0] != self._last[0]:
            self.critic.restart()
        self._last = now
        self.critic.record(
            observation.obs,
            observation.reward,
            observation.terminated,
            observation.truncated,
            observation.final_obs,
        )

    def advantages(
        self, rewards: Table, dones: NDArray[np.bool_], gamma: float, gae_lambda: float
    ) -> tuple[Table, Table, Table]:
        """Return values, advantages and returns (T, E) of the rollout that just ended."""
        return self.critic.advantages(rewards, dones, gamma, gae_lambda)

    def save(self, folder: Path, updates: int) -> None:
        """Write what was learned in so many updates; do this before the policy is saved.

        Critics without a policy beside them go, but for this one: SB3 zips are pruned by their writer.
        """
        fresh = _path(folder, self.critic.agent, updates)
        checkpoint.save(fresh, self.critic.state_dict())
        pattern = re.compile(rf"{re.escape(self.critic.agent)}-(\d{{6,}})\.critic\.pt")
        for path in folder.glob("*.critic.pt"):
            match = pattern.fullmatch(path.name)
            if match and path != fresh and not any(folder.glob(f"{self.critic.agent}-{match[1]}-*.zip")):
                path.unlink(missing_ok=True)

    def restore(self, folder: Path, updates: int) -> bool:
        """Take up what `save` wrote beside the policy of so many updates; return whether there was such.

        Raises:
            CheckpointError: the file is damaged, or of a network with other layers.
        """
        path = _path(folder, self.critic.agent, updates)
        if path.exists():
            self.critic.load_state_dict(checkpoint.load(path))
        return path.exists()

    def start_from(self, folder: Path, updates: int) -> bool:
        """Start from what an earlier run saved, with this run's step size; otherwise as `restore`."""
        path = _path(folder, self.critic.agent, updates)
        if path.exists():
            self.critic.load_learned(checkpoint.load(path))
        return path.exists()


def _path(folder: Path, agent: str, updates: int) -> Path:
    return folder / f"{agent}-{updates:06d}.critic.pt"
