"""Grid states by tick, and the rollouts cut from them.

`GridState(tick=t).state` is s_t, and the rewards and ends in the same message belong to the step t−1 → t.
Steps first .. first + T − 1 therefore need the ticks first .. first + T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.critic.errors import DivergenceError, RolloutError
from broker.messages import GridState

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Rollout:
    """T consecutive steps of E copies; d inputs (state and in-flight side by side), n reward columns."""

    inputs: Float32  # (T + 1, E, d) s_0 .. s_T
    rewards: Float32  # (T, E, n) raw
    terminated: Bool  # (T, E)
    truncated: Bool  # (T, E)
    final_inputs: Float32  # (T, E, d) the old episode's last state where done, else 0

    @property
    def n_steps(self) -> int:
        """Return T."""
        return len(self.rewards)

    @property
    def dones(self) -> Bool:
        """Return (T, E)."""
        return self.terminated | self.truncated


class StateStore:
    """The grid states of the newest epoch's newest `capacity` ticks."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.epoch = -1
        self.newest: int | None = None  # tick
        self._states: dict[int, GridState] = {}

    def __len__(self) -> int:
        return len(self._states)

    def add(self, state: GridState) -> bool:
        """Keep `state`; return False if it is of an earlier epoch, too old, or known already.

        A newer epoch drops all that belongs to the old one.
        """
        if state.epoch > self.epoch:
            self.start_epoch(state.epoch)
        newest = state.tick if self.newest is None else max(self.newest, state.tick)
        if state.epoch < self.epoch or state.tick in self._states or state.tick <= newest - self.capacity:
            return False
        _check(state)
        self._states[state.tick] = state
        self.newest = newest
        if len(self._states) > self.capacity:
            self.drop_before(newest - self.capacity + 1)
        return True

    def start_epoch(self, epoch: int) -> None:
        """Forget all states and await those of `epoch`."""
        self._states.clear()
        self.epoch, self.newest = epoch, None

    def gaps(self) -> list[int]:
        """Return the ticks that are missing between the oldest and the newest held."""
        return self.missing(min(self._states), max(self._states)) if self._states else []

    def missing(self, first: int, last: int) -> list[int]:
        """Return the ticks of first .. last that are not held."""
        return [tick for tick in range(first, last + 1) if tick not in self._states]

    def drop_before(self, tick: int) -> None:
        """Forget all ticks before `tick`."""
        for old in [t for t in self._states if t < tick]:
            del self._states[old]

    def rollout(self, first: int, n_steps: int) -> Rollout:
        """Return steps first .. first + n_steps − 1.

        Raises:
            RolloutError: if a state is missing.
        """
        missing = self.missing(first, first + n_steps)
        if missing:
            msg = (
                f"critic: of ticks {first} to {first + n_steps} of epoch {self.epoch}, {len(missing)} "
                f"grid states are missing, the first of them tick {missing[0]}; neither /grid/state nor the "
                f"simulator's history gave them: lengthen that history or shorten the rollouts"
            )
            raise RolloutError(msg)
        steps = [self._states[tick] for tick in range(first, first + n_steps + 1)]
        inputs = np.stack([np.concatenate([s.state, s.in_flight], axis=1) for s in steps])
        return Rollout(
            inputs=inputs,
            rewards=np.stack([s.rewards for s in steps[1:]]),
            terminated=np.stack([s.terminated for s in steps[1:]]),
            truncated=np.stack([s.truncated for s in steps[1:]]),
            final_inputs=np.stack([_final_inputs(s, inputs[0]) for s in steps[1:]]),
        )


def _final_inputs(state: GridState, like: Float32) -> Float32:
    if state.final_state is None:
        return np.zeros_like(like)
    done = state.terminated | state.truncated
    return np.where(done[:, None], state.final_state, np.float32(0.0)).astype(np.float32)


def _check(state: GridState) -> None:
    """Refuse numbers that would poison the network, and cut-off episodes that do not say where they ended."""
    where = f"critic: grid state of epoch {state.epoch}, tick {state.tick}"
    if state.truncated.any() and state.final_state is None:
        msg = f"{where}: {int(state.truncated.sum())} copies are truncated but final_state is missing"
        raise RolloutError(msg)
    width = state.state.shape[1] + state.in_flight.shape[1]
    if state.final_state is not None and state.final_state.shape[1] != width:
        msg = f"{where}: final_state has {state.final_state.shape[1]} columns, expected {width}"
        raise RolloutError(msg)
    for name in ("state", "in_flight", "rewards"):
        bad = ~np.isfinite(getattr(state, name)).all(axis=1)
        if bad.any():
            copies = np.flatnonzero(bad).tolist()
            msg = f"{where}: '{name}' is not finite in copies {copies}; the grid has diverged"
            raise DivergenceError(msg)
