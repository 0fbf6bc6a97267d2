"""Keeps what one copy goes through, for pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.frequency.disturbances import Disturbances
from simulator.frequency.reward import Parts
from simulator.frequency.types import Fleet, Float
from simulator.frequency.units import UnitState


@dataclass
class Episode:
    """What copy 0 went through, one row per tick."""

    bus_df_hz: list[Float] = field(default_factory=list)  # (n_bus,)
    output_mw: list[Float] = field(default_factory=list)  # (n_unit,)
    load_mw: list[float] = field(default_factory=list)
    renewable_mw: list[float] = field(default_factory=list)  # change from the mean
    contingencies: list[int] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)


class Recorder:
    """Keeps the running and the last finished episode of copy 0."""

    def __init__(self) -> None:
        self._running, self._finished = Episode(), Episode()

    def add(
        self, fleet: Fleet, around: Disturbances, units: UnitState, bus_df_hz: Float, parts: Parts
    ) -> None:
        """Take down one tick."""
        now = self._running
        now.bus_df_hz.append(bus_df_hz[0].copy())
        now.output_mw.append(units.output_mw[0] - fleet.p_start)
        now.load_mw.append(float(around.load_mw[0].sum()))
        now.renewable_mw.append(float((around.renewable_mw[0] - around.renewable_mean_mw[0]).sum()))
        now.contingencies.append(int(around.active[0]))
        now.reward.append(float(parts.reward[0]))

    def end_episode(self) -> None:
        """Close the running episode, if it has begun."""
        if self._running.reward:
            self._finished, self._running = self._running, Episode()

    def episode(self) -> Episode:
        """Return the last finished episode, or the running one if none is finished."""
        return self._finished if self._finished.reward else self._running
