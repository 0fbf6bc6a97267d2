"""The fingerprint by which critic and agent make sure that they speak of the same rollout."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rollout_digest(rewards: NDArray[np.float32], dones: NDArray[Any]) -> str:
    """Return SHA-256 (hex) over an agent's raw rewards and dones.

    Raw means as in the messages: before reward sharing or scaling. A done is `terminated | truncated`
    of the step that earned the reward in the same row. −0.0 counts as 0.0.

    Args:
        rewards: (T, E) rewards of the agent, float32.
        dones: (T, E) bool, or numbers that are 0 where the episode went on.
    """
    flat_rewards = np.ascontiguousarray(rewards, dtype="<f4") + np.float32(0.0)
    flat_dones = np.ascontiguousarray(dones, dtype=np.bool_)
    return hashlib.sha256(flat_rewards.tobytes() + flat_dones.tobytes()).hexdigest()
