"""The controllable units move: actions scaled by the ramp, held within range and battery energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.frequency.types import Fleet, Float


@dataclass(frozen=True)
class UnitState:
    """Where the units stand."""

    output_mw: Float  # (E, n_unit) injection
    soc: Float  # (E, n_unit) state of charge of the batteries, 1 for other units


def at_start(fleet: Fleet, n_envs: int, battery_soc: float) -> UnitState:
    """Return E copies with every unit at its scheduled output."""
    output = np.tile(fleet.p_start, (n_envs, 1))
    return UnitState(output, np.tile(np.where(fleet.is_battery, battery_soc, 1.0), (n_envs, 1)))


def move(fleet: Fleet, units: UnitState, action: Float, dt_s: float, battery_mwh: float) -> UnitState:
    """Move the units by one tick; the new output holds during the tick.

    Args:
        fleet: ranges and ramps.
        units: where they stand.
        action: (E, n_unit) in [-1, 1], share of the ramp; +1 raises injection for every kind (a battery
            or gas plant gives more, demand response takes less).
        dt_s: length of the tick, s.
        battery_mwh: energy of each battery; an empty one gives nothing.
    """
    most = np.where(
        fleet.is_battery, np.minimum(fleet.p_max, units.soc * battery_mwh * 3600.0 / dt_s), fleet.p_max
    )
    wanted = units.output_mw + action * fleet.ramp * (dt_s / 60.0)
    output = np.clip(wanted, fleet.p_min, most)
    drawn = np.where(fleet.is_battery, output * dt_s / 3600.0 / battery_mwh, 0.0)
    return UnitState(output, np.clip(units.soc - drawn, 0.0, 1.0))


def injections(fleet: Fleet, units: UnitState, n_bus: int, n_machine: int) -> tuple[Float, Float]:
    """Return (E, n_bus) and (E, n_machine): change from the schedule in MW, gas plants at their machines."""
    change = units.output_mw - fleet.p_start
    at_bus, at_machine = np.zeros((len(change), n_bus)), np.zeros((len(change), n_machine))
    plant = fleet.machine >= 0
    for unit in np.flatnonzero(~plant):  # one by one: two units may share a bus
        at_bus[:, fleet.bus[unit]] += change[:, unit]
    at_machine[:, fleet.machine[plant]] = change[:, plant]
    return at_bus, at_machine
