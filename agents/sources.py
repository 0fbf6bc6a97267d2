"""Where a rollout buffer finds its advantages: a register of critics by address, for one process.

A buffer's arguments are pickled by ``save``, so it holds an address only. What answers under that
address lives in the process: a client of the critic service, or a critic in the same program.
"""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from agents.errors import CriticError


class AdvantageSource(Protocol):
    """What a rollout buffer asks when its rollout is complete."""

    def advantages(
        self, rewards: np.ndarray, dones: np.ndarray, gamma: float, gae_lambda: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Judge the rollout that just ended.

        Args:
            rewards: (T, E) float32, the rewards as this agent saw them; no zero is negative.
            dones: (T, E) bool; dones[t] is true where the step taken at t ended the episode.
            gamma: Discount factor, 0 to 1.
            gae_lambda: λ of the generalized advantage estimator, 0 to 1.

        Returns:
            values, advantages, returns: each (T, E) float32; values[t] judges the state before step t.
        """


_sources: dict[str, AdvantageSource] = {}
_lock = threading.Lock()


def register(address: str, source: AdvantageSource) -> None:
    """Let `source` answer under `address`.

    Raises:
        CriticError: the address is taken; two agents of one process must not share one.
    """
    with _lock:
        if address in _sources:
            message = (
                f"advantage source {address!r} is registered already, as {_sources[address]!r}: "
                "unregister it first, or give each agent an address of its own"
            )
            raise CriticError(message)
        _sources[address] = source


def unregister(address: str) -> None:
    """Forget the source under `address`; nothing happens if there is none."""
    with _lock:
        _sources.pop(address, None)


def lookup(address: str | None) -> AdvantageSource:
    """Return the source under `address`.

    Raises:
        CriticError: none is registered in this process.
    """
    with _lock:
        if address is not None and address in _sources:
            return _sources[address]
        known = ", ".join(sorted(_sources)) or "none"
    message = (
        f"no advantage source is registered under {address!r} in this process (registered: {known}): "
        "call agents.sources.register(address, source) before learn(), or train over the bus"
    )
    raise CriticError(message)
