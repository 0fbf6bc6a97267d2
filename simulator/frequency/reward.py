"""The shared reward of one tick in its parts, and when an episode is lost.

Formula of the published environment (docs/frequency68.md): −(1000 Σ_bus Δf² + Σ C |ΔP| + 0.1 Σ W ΔP² +
10000 · buses outside). Δf is taken at the tick's end; buses outside are judged all along the tick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.frequency import dynamics
from simulator.frequency.types import Bool, Fleet, Float, Index, State, System

BAND_HZ = 0.5  # a bus beyond it counts as outside
LOST_HZ = 1.5  # a bus beyond it ends the episode
GOOD_HZ = 0.2  # all buses within it: the usual target of secondary control
N_INSTANTS = 100  # at which buses are judged in a tick of 2 s: every 20 ms
FREQUENCY_WEIGHT = 1000.0  # per Hz²
WEAR_WEIGHT = 0.1
OUTSIDE_WEIGHT = 10_000.0  # per bus


@dataclass(frozen=True)
class Excursion:
    """How far the buses went during a tick."""

    worst_hz: Float  # (E,) largest |Δf| of any bus
    outside: Index  # (E,) buses that were beyond ±0.5 Hz at some instant
    lost: Bool  # (E,) some bus was beyond ±1.5 Hz


@dataclass(frozen=True)
class Parts:
    """The reward is minus the sum of these."""

    frequency: Float  # (E,)
    control: Float  # (E,)
    wear: Float  # (E,)
    violation: Float  # (E,)

    @property
    def reward(self) -> Float:
        """Return (E,)."""
        return -(self.frequency + self.control + self.wear + self.violation)


def excursion(system: System, state: State, path: Float, bus_df_hz: Float) -> Excursion:
    """Judge a tick.

    A bus speed is a weighted mean of machine speeds (the divider's rows are positive and sum to one), so
    where no machine leaves ±0.2 Hz no bus does, and the tick's end stands for the tick; elsewhere every
    bus is computed at every instant.

    Args:
        system: constants.
        state: at the tick's end.
        path: (E, n_instants, n_machine) speeds during the tick, pu.
        bus_df_hz: (E, n_bus) at the tick's end.
    """
    worst = np.abs(bus_df_hz).max(axis=1)
    outside = np.zeros(len(worst), dtype=np.int64)
    wide = np.maximum(path.max(axis=(1, 2)), -path.min(axis=(1, 2))) * system.nominal_hz > GOOD_HZ
    rows = np.flatnonzero(wide)
    for block in np.array_split(rows, max(1, len(rows) // 64)):
        speed = dynamics.bus_speed(system, state.branch_out[block], path[block])
        peak = np.maximum(speed.max(axis=1), -speed.min(axis=1)) * system.nominal_hz
        worst[block] = peak.max(axis=1)
        outside[block] = (peak > BAND_HZ).sum(axis=1)
    return Excursion(worst, outside, worst > LOST_HZ)


def parts(fleet: Fleet, bus_df_hz: Float, moved_mw: Float, outside: Index) -> Parts:
    """Return the parts of the reward.

    Args:
        fleet: costs C and W.
        bus_df_hz: (E, n_bus) at the tick's end.
        moved_mw: (E, n_unit) change of output in this tick.
        outside: (E,) buses that left the band.
    """
    return Parts(
        frequency=FREQUENCY_WEIGHT * np.einsum("eb,eb->e", bus_df_hz, bus_df_hz),
        control=(np.abs(moved_mw) * fleet.cost).sum(axis=1),
        wear=WEAR_WEIGHT * (moved_mw**2 * fleet.wear).sum(axis=1),
        violation=OUTSIDE_WEIGHT * outside,
    )
