"""Random numbers of one agent, apart from those of everyone else in the process.

Stable-Baselines3 draws from the process-wide generators. Agents that run as threads of one process
would then draw from each other's streams, and could not repeat what processes of their own do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch as th

_torch_lock = threading.Lock()


@dataclass(frozen=True)
class AgentGenerators:
    """The streams of one agent; saved with it, so that a resumed run goes on with the same draws."""

    acting: np.random.Generator  # samples actions
    minibatches: np.random.Generator  # permutes the rollout

    @classmethod
    def from_seed(cls, seed: int | None) -> AgentGenerators:
        """Return the streams that belong to `seed`; without a seed, streams nobody can repeat."""
        return cls(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2)))


@contextmanager
def forked_torch(seed: int | None) -> Iterator[None]:
    """Let torch draw initial weights from `seed`, and leave its generator as it was found.

    torch's layers initialize themselves from the one CPU generator of the process, so only one thread
    may be inside at a time; whoever builds a network in a thread must build it in here.
    """
    with _torch_lock, th.random.fork_rng(devices=[]):
        if seed is None:
            th.seed()
        else:
            th.manual_seed(seed)
        yield
