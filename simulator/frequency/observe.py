"""What units see (15 features each) and the global state (140 values), scaled to order one.

The unit of a feature says its scale: a value of 2 in "0.1 Hz" is 0.2 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.errors import CaseError
from simulator.frequency.disturbances import Disturbances
from simulator.frequency.network import distance
from simulator.frequency.options import Options
from simulator.frequency.types import Case, Fleet, Float, Index, System
from simulator.frequency.units import UnitState

N_NEAR = 5
N_LOADS = 30
N_FORECASTS = 3
DF_HZ, POWER_MW, LOAD_MW = 0.1, 100.0, 20.0  # what one unit of a feature is

FEATURES: tuple[tuple[str, str], ...] = (
    ("own_df", "0.1 Hz"),
    ("own_load_change", "20 MW"),
    ("own_output", "100 MW"),
    ("mean_df", "0.1 Hz"),
    *((f"near_df_{k}", "0.1 Hz") for k in range(1, N_NEAR + 1)),
    *((f"renewable_forecast_{k}min", "100 MW") for k in range(1, N_FORECASTS + 1)),
    ("hour", "day"),
    ("day", "week"),
    ("utilization", "1"),
)
TIME_FEATURES: tuple[tuple[str, str], ...] = (
    ("sin_hour", "1"),
    ("cos_hour", "1"),
    ("sin_day", "1"),
    ("cos_day", "1"),
    ("episode_progress", "1"),
    *((f"renewable_forecast_{k}min", "100 MW") for k in range(1, N_FORECASTS + 1)),
)


@dataclass(frozen=True)
class View:
    """Which buses each unit and the state show."""

    near: Index  # (n_unit, 5) bus index, electrically nearest first
    loads: Index  # (30,) bus index, largest scheduled load first
    names: tuple[str, ...]  # of the state's values
    units: tuple[str, ...]


def check_size(case: Case) -> None:
    """Check that every unit has as many other buses as it is shown near ones. Raises CaseError."""
    n_bus = len(case.bus_number)
    if n_bus <= N_NEAR:
        msg = (
            f"grid 'frequency68': the case has {n_bus} buses (bus.csv), expected at least {N_NEAR + 1}: each "
            f"unit is shown the {N_NEAR} electrically nearest buses besides its own"
        )
        raise CaseError(msg)


def view(system: System, fleet: Fleet, options: Options) -> View:
    """Return the fixed part of what is seen. Raises CaseError like `check_size`."""
    check_size(system.case)
    gap = distance(system.case)[fleet.bus]
    gap[np.arange(len(fleet.bus)), fleet.bus] = np.inf
    near = np.argsort(gap, axis=1, kind="stable")[:, :N_NEAR]
    loads = np.argsort(-system.load_mw, kind="stable")[:N_LOADS]
    number = system.case.bus_number
    named = [(f"df_bus_{b}", "0.1 Hz") for b in number]
    named += [(f"output_{name}", "100 MW") for name in fleet.names]
    named += [(f"renewable_{number[b]}", "100 MW") for b in fleet.renewable_bus]
    named += [(f"load_change_{number[b]}", "20 MW") for b in loads]
    named += TIME_FEATURES
    if options.soc_in_state:
        named += [
            (f"soc_{name}", "1") for name, yes in zip(fleet.names, fleet.is_battery, strict=True) if yes
        ]
    names, units = zip(*named, strict=True)
    return View(near, loads, names, units)


def observations(
    system: System, fleet: Fleet, seen: View, around: Disturbances, units: UnitState, bus_df_hz: Float
) -> NDArray[np.float32]:
    """Return (n_unit, E, 15): the features of every unit, in the order of FEATURES."""
    df = bus_df_hz / DF_HZ
    shape = (len(fleet.names), len(df), len(FEATURES))
    seen_by = np.empty(shape, np.float32)
    seen_by[:, :, 0] = df[:, fleet.bus].T
    seen_by[:, :, 1] = ((around.load_mw - system.load_mw)[:, fleet.bus] / LOAD_MW).T
    seen_by[:, :, 2] = (units.output_mw / POWER_MW).T
    seen_by[:, :, 3] = df.mean(axis=1)
    seen_by[:, :, 4 : 4 + N_NEAR] = df[:, seen.near].transpose(1, 0, 2)
    forecast = 4 + N_NEAR
    seen_by[:, :, forecast : forecast + N_FORECASTS] = around.forecast_mw[:, :N_FORECASTS] / POWER_MW
    seen_by[:, :, -3] = around.hour / 24.0
    seen_by[:, :, -2] = around.day / 7.0
    seen_by[:, :, -1] = ((units.output_mw - fleet.p_min) / (fleet.p_max - fleet.p_min)).T
    return seen_by


def global_state(
    system: System, fleet: Fleet, seen: View, around: Disturbances, units: UnitState, bus_df_hz: Float,
    options: Options,
) -> NDArray[np.float32]:  # fmt: skip
    """Return (E, 140), or more with the states of charge, in the order of View.names."""
    hour, day = 2.0 * np.pi * around.hour / 24.0, 2.0 * np.pi * around.day / 7.0
    progress = around.tick / options.episode_ticks
    time = np.stack([np.sin(hour), np.cos(hour), np.sin(day), np.cos(day), progress], axis=1)
    columns = [
        bus_df_hz / DF_HZ,
        units.output_mw / POWER_MW,
        around.renewable_mw / POWER_MW,
        (around.load_mw - system.load_mw)[:, seen.loads] / LOAD_MW,
        time,
        around.forecast_mw[:, :N_FORECASTS] / POWER_MW,
    ]
    if options.soc_in_state:
        columns.append(units.soc[:, fleet.is_battery])
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind")


def neighbours(system: System, fleet: Fleet, n_nearest: int = 2) -> dict[str, tuple[str, ...]]:
    """Return unit -> units it talks to: the electrically nearest, and what it takes to connect all.

    The graph is undirected: a link stands if either end is among the other's nearest, or if it is in the
    minimum spanning tree of electrical distance (R. Prim, Bell Syst. Tech. J. 36, 1957).
    """
    gap = distance(system.case)[np.ix_(fleet.bus, fleet.bus)]
    np.fill_diagonal(gap, np.inf)
    linked = np.zeros(gap.shape, dtype=np.bool_)
    nearest = np.argsort(gap, axis=1, kind="stable")[:, : min(n_nearest, len(gap) - 1)]
    np.put_along_axis(linked, nearest, values=True, axis=1)
    inside = np.zeros(len(gap), dtype=np.bool_)
    inside[0] = True
    while not inside.all():
        across = np.where(inside[:, None] & ~inside[None, :], gap, np.inf)
        i, j = np.unravel_index(np.argmin(across), gap.shape)
        linked[i, j] = inside[j] = True
    linked |= linked.T
    return {
        name: tuple(fleet.names[j] for j in np.flatnonzero(linked[i])) for i, name in enumerate(fleet.names)
    }
