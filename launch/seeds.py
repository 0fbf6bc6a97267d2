"""One seed for a run, spread so that every role has its own and none depends on who else takes part."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Role(IntEnum):
    """Who draws random numbers; the value is the spawn key, and stays as it is for old runs' sake."""

    SIMULATOR = 0
    CRITIC = 1
    AGENT = 2
    EVALUATOR = 3


def seed_of(seed: int, role: Role, index: int = 0) -> int:
    """Return the 31-bit seed of one role; `index` tells agents apart, in the grid's order."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(role), index))
    return int(sequence.generate_state(1)[0]) >> 1


def held_out_seed(seed: int) -> int:
    """Return the seed of scenarios that no training meets, the same for every run that asks with `seed`.

    Seeds of training have 31 bits; the 32nd is set here, so that none of theirs can be this one.
    """
    return seed_of(seed, Role.EVALUATOR) | 1 << 31
