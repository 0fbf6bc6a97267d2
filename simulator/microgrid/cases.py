"""The microgrids: microgrid6, microgrid20, a ring of any size, or a case of one's own.

Cases of PowerNet (arXiv 2011.12354); the six-DG one is the 34-bus test feeder of A. Bidram et al.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulator.errors import CaseError
from simulator.microgrid.case_files import Case, Constants, check, read_case
from simulator.microgrid.sparse import n_values, order_nodes, position
from simulator.microgrid.types import Control, Float, Int, Network, System

DATA = Path(__file__).parent / "data"


def microgrid6() -> System:
    """Return the microgrid of 6 DGs, 11 buses and 4 loads."""
    return read_system(DATA / "microgrid6")


def microgrid20() -> System:
    """Return the microgrid of 20 DGs, 20 buses and 10 loads."""
    return read_system(DATA / "microgrid20")


def read_system(folder: Path) -> System:
    """Return the microgrid whose case files are in `folder`. Raises CaseError if they do not fit."""
    return system(read_case(folder))


def ring(n_dg: int) -> System:
    """Return a ring of n_dg buses, a DG at each and a load at every second, with figures of microgrid20.

    Raises:
        CaseError: fewer than 3 DGs make no ring.
    """
    if n_dg < 3:
        msg = f"ring: n_dg is {n_dg}, expected at least 3"
        raise CaseError(msg)
    like = read_case(DATA / "microgrid20")
    number = np.arange(1.0, n_dg + 1)
    after = np.roll(number, -1)
    weight = np.full(2 * n_dg, like.comm["weight"][0])
    loads = number[::2]
    case = Case(
        f"ring{n_dg}",
        like.constants,
        dg={
            "dg": number,
            "bus": number,
            "m_p_rad_s_per_w": np.resize(like.dg["m_p_rad_s_per_w"], n_dg),
            "n_q_v_per_var": np.resize(like.dg["n_q_v_per_var"], n_dg),
        },
        line={
            "from_bus": number,
            "to_bus": after,
            "r_ohm": np.resize(like.line["r_ohm"], n_dg),
            "l_h": np.resize(like.line["l_h"], n_dg),
        },
        load={
            "bus": loads,
            "r_ohm": np.full(len(loads), 5.0),
            "l_h": np.full(len(loads), np.mean(like.load["l_h"])),
            "feeder_r_ohm": np.zeros(len(loads)),
            "feeder_l_h": np.zeros(len(loads)),
        },
        comm={"dg": np.r_[number, after], "hears": np.r_[after, number], "weight": weight},
    )
    check(case)
    return system(case)


def system(case: Case) -> System:
    """Return the constants of a checked case, its matrices ordered for elimination."""
    constants, buses = case.constants, case.buses()
    dg_bus, load_bus = (np.searchsorted(buses, table["bus"]) for table in (case.dg, case.load))
    line_bus = np.stack([np.searchsorted(buses, case.line[c]) for c in ("from_bus", "to_bus")], axis=1)
    n_dg = len(dg_bus)
    hears = np.stack([case.comm["dg"], case.comm["hears"]], axis=1).astype(np.int64) - 1
    return System(
        name=case.name,
        bus_names=tuple(buses.tolist()),
        v_nom=constants.v_nom_v,
        v_min=constants.v_min_v,
        v_max=constants.v_max_v,
        dg_bus=dg_bus,
        line_bus=line_bus,
        load_bus=load_bus,
        r=np.r_[np.full(n_dg, constants.coupling_r_ohm), case.line["r_ohm"], case.load["feeder_r_ohm"]],
        l=np.r_[np.full(n_dg, constants.coupling_l_h), case.line["l_h"], case.load["feeder_l_h"]],
        load_r=case.load["r_ohm"],
        load_l=case.load["l_h"],
        hears=hears,
        network=_network(len(buses), dg_bus, line_bus, load_bus),
        control=_control(case, constants, hears),
    )


def _network(n_bus: int, dg_bus: Int, line_bus: Int, load_bus: Int) -> Network:
    order, elimination = order_nodes(n_bus, [(int(a), int(b)) for a, b in line_bus])
    place = np.argsort(order)
    tail, head = place[line_bus[:, 0]], place[line_bus[:, 1]]
    nowhere = [np.full(len(dg_bus), -1), np.full(len(load_bus), -1)]
    lower = np.array([position(elimination, max(a, b), min(a, b)) for a, b in zip(tail, head, strict=True)])
    upper = np.array([position(elimination, min(a, b), max(a, b)) for a, b in zip(tail, head, strict=True)])
    return Network(
        tail=np.r_[np.full(len(dg_bus), n_bus), tail, place[load_bus]],
        head=np.r_[place[dg_bus], head, np.full(len(load_bus), n_bus)],
        lower=np.r_[nowhere[0], lower, nowhere[1]],
        upper=np.r_[nowhere[0], upper, nowhere[1]],
        place=place,
        elimination=elimination,
    )


def _control(case: Case, constants: Constants, hears: Int) -> Control:
    n_dg = len(case.dg["dg"])
    order, elimination = order_nodes(n_dg, [(int(a), int(b)) for a, b in hears])
    place = np.argsort(order)
    pin: Float = np.zeros(n_dg)
    pin[constants.pinned_dg - 1] = constants.consensus_gain
    consensus = np.zeros(n_values(elimination))
    consensus[place] = pin
    for (dg, heard), weight in zip(hears, constants.consensus_gain * case.comm["weight"], strict=True):
        consensus[place[dg]] += weight
        consensus[position(elimination, place[dg], place[heard])] -= weight
    return Control(
        m_p=case.dg["m_p_rad_s_per_w"],
        n_q=case.dg["n_q_v_per_var"],
        omega_c=constants.filter_rad_s,
        omega_ref=2.0 * np.pi * constants.frequency_hz,
        pin=pin,
        consensus=consensus,
        order=order,
        elimination=elimination,
    )
