"""What a microgrid is (System: constants) and what evolves in it (State)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Fidelity(StrEnum):
    """How closely the currents of the network are followed."""

    PHASOR = "phasor"  # quasi-stationary: currents follow at once; steps of 5 ms
    STANDARD = "standard"  # full order: every inductor is a state; steps of 1 ms
    FULL = "full"  # full order; steps of 0.25 ms


class Elimination(NamedTuple):
    """Where the nonzeros of a sparse L U are, and where each elimination step subtracts.

    Values live in one array: D (n), L column by column, U row by row. Column k of L and row k of U
    have the places `row[start[k]:start[k + 1]]`, all larger than k. Eliminating k subtracts the
    product of each pair (i, j) of them at `target[first_target[k]:]`, pair by pair.
    """

    start: Int  # (n + 1,)
    row: Int  # (n_nonzero,)
    first_target: Int  # (n,)
    target: Int  # (n_product,) index into the value array


class Network(NamedTuple):
    """Branches between buses: couplings of the DGs, then lines, then loads; `n_bus` stands for ground.

    Buses are numbered by their place in the elimination.
    """

    tail: Int  # (n_branch,) bus that the current leaves
    head: Int  # (n_branch,) bus that the current enters
    lower: Int  # (n_branch,) where -y goes in the value array of the admittance matrix; -1: nowhere
    upper: Int  # (n_branch,) and its mirror image
    place: Int  # (n_bus,) place of each bus in the elimination
    elimination: Elimination


class Control(NamedTuple):
    """Droop and secondary frequency control of the DGs."""

    m_p: Float  # (n_dg,) rad/s per W, droop of frequency on active power
    n_q: Float  # (n_dg,) V per var, droop of voltage on reactive power
    omega_c: float  # rad/s, cut-off of the power filters
    omega_ref: float  # rad/s
    pin: Float  # (n_dg,) 1/s, a G: how firmly each DG is tied to the reference
    consensus: Float  # value array of a (Lap + G), 1/s
    order: Int  # (n_dg,) DG at each place of the elimination
    elimination: Elimination


@dataclass(frozen=True)
class System:
    """The constants of one microgrid."""

    name: str
    bus_names: tuple[int, ...]  # (n_bus,) numbers in the case file, ascending: the order of bus_voltage
    v_nom: float  # V
    v_min: float  # V, lowest setpoint of a DG
    v_max: float  # V, highest setpoint of a DG
    dg_bus: Int  # (n_dg,) index into bus_names
    line_bus: Int  # (n_line, 2) index into bus_names
    load_bus: Int  # (n_load,) index into bus_names
    r: Float  # (n_branch,) ohm: couplings, lines, feeders of the loads
    l: Float  # noqa: E741  (n_branch,) H: likewise
    load_r: Float  # (n_load,) ohm, behind the feeder, at scale 1
    load_l: Float  # (n_load,) H, behind the feeder, at scale 1
    hears: Int  # (n_link, 2) DG and the DG that it hears in the consensus
    network: Network
    control: Control

    @property
    def n_dg(self) -> int:
        """Return the number of DGs."""
        return len(self.dg_bus)

    @property
    def n_bus(self) -> int:
        """Return the number of buses."""
        return len(self.bus_names)

    @property
    def n_load(self) -> int:
        """Return the number of loads."""
        return len(self.load_bus)


@dataclass(frozen=True)
class State:
    """What evolves in E copies; phasors (d + jq) turn with DG 1."""

    delta: Float  # (E, n_dg) rad, angle of each DG to DG 1
    p: Float  # (E, n_dg) W, filtered active power
    q: Float  # (E, n_dg) var, filtered reactive power
    omega_set: Float  # (E, n_dg) rad/s, frequency setpoint before droop
    current: Complex  # (E, n_branch) A: out of the DGs, along the lines, into the loads
    v_bus: Complex  # (E, n_bus) V, in the order of System.bus_names

    @property
    def n_envs(self) -> int:
        """Return E."""
        return len(self.delta)
