"""The 68-bus case: from its tables and a few factors to System and Fleet; and larger grids made of it.

Tables: data/SOURCE.md. Parameters that the tables do not have are the constants below.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from simulator.errors import CaseError, OptionError
from simulator.frequency import network
from simulator.frequency.case_files import DATA, read_case
from simulator.frequency.kernel import sine_jacobian, sine_power
from simulator.frequency.types import Case, Fleet, Float, Flow, Index, Kind, System

NOMINAL_HZ = 60.0
TABLE_MVA = 100.0  # per-unit base of the case files
DROOP = 0.05  # pu speed per pu of rating, P. Kundur, Power System Stability and Control, 1994, 11.1.1
RATING = 1.2  # rated power of a governed machine over its scheduled power
GOVERNOR_TIME_S = 5.0
LOAD_DAMPING = 1.0  # % of load per % of frequency, Kundur 1994, 11.1.4 (1 to 2)

# kind: least and largest output (MW), ramp (MW/min), cost C and wear W of the reward
RANGE_MW = {Kind.BATTERY: (0.0, 100.0), Kind.GAS: (50.0, 500.0), Kind.DR: (-200.0, 0.0)}
RAMP_MW_PER_MIN = {Kind.BATTERY: 50.0, Kind.GAS: 10.0, Kind.DR: 5.0}
COST = {Kind.BATTERY: 5.0, Kind.GAS: 50.0, Kind.DR: 20.0}
WEAR = {Kind.BATTERY: 0.1, Kind.GAS: 0.05, Kind.DR: 0.2}


@lru_cache(maxsize=8)
def load(folder: Path = DATA) -> Case:
    """Return the case of a folder, by default the 68-bus one. Raises CaseError."""
    return read_case(folder)


def system(
    demand_mw: float = 3500.0,
    inertia_factor: float = 1.0,
    governor_share: float = 0.6,
    flow: str = "linear",
    integration_step_s: float = 0.01,
    case: Case | None = None,
) -> System:
    """Make the constants of the physics.

    Per-unit values of the tables stay as published; the MVA base is chosen so that the loads of the
    tables sum up to `demand_mw`. Machine values are on the machine's own base and are converted:
    x'd by 100/mva_base, H by mva_base/100.

    Args:
        demand_mw: scheduled demand of all loads, MW, > 0.
        inertia_factor: multiplies every H, > 0; lower it for a grid with fewer spinning machines.
        governor_share: share of the governed machines' droop that is in service, 0 to 1.
        flow: "linear", or "sine" for the sine of angle differences on the reduced network.
        integration_step_s: step of the sine flow, s, in (0, 0.02].
        case: tables; None takes the 68-bus case.

    Raises:
        OptionError: an argument is out of range.
        CaseError: the schedule has no angles that the sine flow could hold.
    """
    _check(demand_mw, inertia_factor, governor_share, flow, integration_step_s)
    case = load() if case is None else case
    base_mva = demand_mw / float(case.load_pu.sum())
    own_base = case.machine_mva / TABLE_MVA
    branch_b = 1.0 / (case.branch_x_pu * case.branch_tap)
    machine_b = own_base / case.machine_x_pu
    reduced, divider = network.reduce(case, branch_b, machine_b)
    machine_pu, governed = _schedule(case), governed_machines(case)
    draft = System(
        case=case,
        flow=Flow(flow),
        base_mva=base_mva,
        nominal_hz=NOMINAL_HZ,
        load_mw=case.load_pu * base_mva,
        machine_mw=machine_pu * base_mva,
        branch_b=branch_b,
        machine_b=machine_b,
        inertia_s=case.machine_h_s * own_base * inertia_factor,
        damping=LOAD_DAMPING * (case.load_pu @ divider),
        governed=governed,
        governor_gain=governor_share * RATING * case.gen_pu[case.machine_bus][governed] / DROOP,
        governor_time_s=GOVERNOR_TIME_S,
        delta0=np.zeros(len(machine_b)),
        integration_step_s=integration_step_s,
    )
    drive0 = machine_pu - case.load_pu @ divider
    linear0 = np.linalg.lstsq(reduced, drive0, rcond=None)[0]
    delta0 = linear0 if draft.flow == Flow.LINEAR else _sine_angles(reduced, drive0, linear0)
    return replace(draft, delta0=delta0, cache={})


def governed_machines(case: Case) -> Index:
    """Return the machines with a governor: all that are not a gas plant run by an agent (9 to 16)."""
    gas = [b for kind, b in zip(case.site_kind, case.site_bus, strict=True) if kind == Kind.GAS]
    return np.flatnonzero(~np.isin(case.machine_bus, gas)).astype(np.int64)


def fleet(case: Case, base_mva: float) -> Fleet:
    """Return the controllable units and renewables of a case; gas plants start at their dispatch.

    Args:
        case: tables.
        base_mva: MVA base of the system, which turns the published dispatch into MW.
    """
    sites = [(k, int(b)) for k, b in zip(case.site_kind, case.site_bus, strict=True)]
    units = [(kind, bus) for kind, bus in sites if kind != Kind.RENEWABLE]
    kinds = tuple(kind for kind, _ in units)
    low, high = np.array([RANGE_MW[kind] for kind in kinds]).T
    machine_of = {int(bus): m for m, bus in enumerate(case.machine_bus)}
    start = [case.gen_pu[bus] * base_mva if k == Kind.GAS else np.mean(RANGE_MW[k]) for k, bus in units]
    return Fleet(
        names=tuple(f"{kind}_{case.bus_number[bus]}" for kind, bus in units),
        kind=kinds,
        bus=np.array([bus for _, bus in units], dtype=np.int64),
        machine=np.array([machine_of[b] if k == Kind.GAS else -1 for k, b in units], dtype=np.int64),
        p_min=low,
        p_max=high,
        p_start=np.clip(start, low, high),
        ramp=np.array([RAMP_MW_PER_MIN[kind] for kind in kinds]),
        cost=np.array([COST[kind] for kind in kinds]),
        wear=np.array([WEAR[kind] for kind in kinds]),
        is_battery=np.array([kind == Kind.BATTERY for kind in kinds]),
        renewable_bus=np.array([bus for kind, bus in sites if kind == Kind.RENEWABLE], dtype=np.int64),
    )


def tiled(n_tiles: int, tie_x_pu: float = 0.02, tie_buses: tuple[int, int] = (1, 41)) -> Case:
    """Return a ring of `n_tiles` copies of the 68-bus case, to see how cost grows with size.

    Bus b of copy k becomes b + 68 k. Bus 41 of each copy is tied to bus 1 of the next.
    """
    one = load()
    n, k = len(one.bus_number), np.arange(n_tiles)
    first, last = (int(np.flatnonzero(one.bus_number == bus)[0]) for bus in tie_buses)
    ties = 0 if n_tiles == 1 else 1 if n_tiles == 2 else n_tiles
    tie_from, tie_to = last + n * k[:ties], first + n * ((k[:ties] + 1) % n_tiles)

    def shifted(index: Index) -> Index:
        return (index[None, :] + n * k[:, None]).ravel()

    def repeated(values: Float) -> Float:
        return np.tile(values, n_tiles)

    return Case(
        bus_number=np.arange(1, n * n_tiles + 1),
        load_pu=repeated(one.load_pu),
        gen_pu=repeated(one.gen_pu),
        slack=one.slack,
        branch_from=np.append(shifted(one.branch_from), tie_from),
        branch_to=np.append(shifted(one.branch_to), tie_to),
        branch_x_pu=np.append(repeated(one.branch_x_pu), np.full(ties, tie_x_pu)),
        branch_tap=np.append(repeated(one.branch_tap), np.ones(ties)),
        machine_bus=shifted(one.machine_bus),
        machine_mva=repeated(one.machine_mva),
        machine_x_pu=repeated(one.machine_x_pu),
        machine_h_s=repeated(one.machine_h_s),
        site_kind=one.site_kind * n_tiles,
        site_bus=shifted(one.site_bus),
    )


def _schedule(case: Case) -> Float:
    """Machine power per-unit: the dispatch, with the slack taking up what the lossless flow does not lose."""
    power = case.gen_pu[case.machine_bus].copy()
    power[case.machine_bus == case.slack] += case.load_pu.sum() - power.sum()
    return power


def _sine_angles(reduced: Float, drive0: Float, start: Float) -> Float:
    """Solve Σ_j b_ij sin(δ_i − δ_j) = drive0_i by Newton's method; the mean angle stays."""
    delta = start.copy()
    for _ in range(50):
        mismatch = drive0 - sine_power(reduced, delta)
        if np.abs(mismatch).max() < 1e-12 * max(1.0, np.abs(drive0).max()):
            break
        delta += np.linalg.lstsq(sine_jacobian(reduced, delta), mismatch, rcond=None)[0]
    spread = np.abs(delta[:, None] - delta[None, :])[reduced < 0]
    if np.abs(drive0 - sine_power(reduced, delta)).max() > 1e-8 or (spread > np.pi / 2).any():
        msg = (
            "case: the schedule has no angles below 90° with the sine flow; lower the transfers between "
            "machines, or use flow='linear'"
        )
        raise CaseError(msg)
    return delta


def _check(demand_mw: float, inertia: float, share: float, flow: str, step_s: float) -> None:
    rules = (
        ("demand_mw", demand_mw, 0 < demand_mw < np.inf, "a number of MW > 0"),
        ("inertia_factor", inertia, 0 < inertia < np.inf, "a number > 0"),
        ("governor_share", share, 0 <= share <= 1, "a number in [0, 1]"),
        ("flow", flow, flow in tuple(Flow), "'linear' or 'sine'"),
        ("integration_step_s", step_s, 0 < step_s <= 0.02, "a time in (0, 0.02] s"),
    )
    for name, got, ok, expected in rules:
        if not ok:
            msg = f"frequency68: option '{name}' is {got!r}, expected {expected}"
            raise OptionError(msg)
