"""What a frequency grid is made of: Case (tables), System (constants), Fleet (sites) and State."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]
Index = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Flow(StrEnum):
    """How angles turn into power on the reduced network."""

    LINEAR = "linear"  # P_ij = b_ij (δ_i − δ_j)
    SINE = "sine"  # P_ij = b_ij sin(δ_i − δ_j)


class Kind(StrEnum):
    """What may stand at a bus besides its load."""

    BATTERY = "battery"
    GAS = "gas"
    DR = "dr"
    RENEWABLE = "renewable"


@dataclass(frozen=True)
class Case:
    """A grid as its files tell it; per-unit on 100 MVA, buses by index from 0."""

    bus_number: Index  # (n_bus,) as printed in the file
    load_pu: Float  # (n_bus,)
    gen_pu: Float  # (n_bus,) published dispatch
    slack: int  # index of the bus whose machine balances the dispatch
    branch_from: Index  # (n_branch,) bus index
    branch_to: Index  # (n_branch,) bus index
    branch_x_pu: Float  # (n_branch,)
    branch_tap: Float  # (n_branch,) 1 where there is no transformer
    machine_bus: Index  # (n_machine,) bus index
    machine_mva: Float  # (n_machine,) the base of the next two
    machine_x_pu: Float  # (n_machine,) transient reactance x'd on machine_mva
    machine_h_s: Float  # (n_machine,) inertia constant on machine_mva
    site_kind: tuple[Kind, ...]  # (n_site,)
    site_bus: Index  # (n_site,) bus index


@dataclass(frozen=True, eq=False)
class System:
    """The constants of the physics; per-unit on `base_mva`, angles in rad, speeds in pu of nominal."""

    case: Case
    flow: Flow
    base_mva: float
    nominal_hz: float
    load_mw: Float  # (n_bus,) schedule
    machine_mw: Float  # (n_machine,) schedule of the lossless flow
    branch_b: Float  # (n_branch,) pu, 1/(x·tap)
    machine_b: Float  # (n_machine,) pu, 1/x'd
    inertia_s: Float  # (n_machine,) H on base_mva
    damping: Float  # (n_machine,) pu power per pu speed
    governed: Index  # (n_governor,) machine index
    governor_gain: Float  # (n_governor,) 1/R, pu power per pu speed
    governor_time_s: float
    delta0: Float  # (n_machine,) rotor angles of the schedule, rad
    integration_step_s: float  # of the sine flow
    cache: dict[Any, Any] = field(
        default_factory=dict, repr=False
    )  # topologies and propagators, made on demand

    @property
    def n_bus(self) -> int:
        """Return the number of buses."""
        return len(self.load_mw)

    @property
    def n_machine(self) -> int:
        """Return the number of machines."""
        return len(self.inertia_s)


@dataclass(frozen=True)
class Topology:
    """The network reduced to the machines' internal nodes, with all branches or without one."""

    reduced: Float  # (n_machine, n_machine) Kron-reduced Laplacian, pu
    divider: Float  # (n_bus, n_machine) bus speed = divider @ machine speed; rows sum to one
    drive: Float  # (n_machine,) pu, accelerating power of the schedule before the flow is taken off;
    #               the linear flow counts angles from δ0, so there it is 0 with all branches closed


@dataclass(frozen=True)
class State:
    """What evolves, as deviation from the schedule."""

    delta: Float  # (E, n_machine) rad
    omega: Float  # (E, n_machine) pu
    governor: Float  # (E, n_governor) pu, mechanical power beyond the schedule
    branch_out: Index  # (E,) branch that is open, -1 if none


@dataclass(frozen=True, eq=False)
class Fleet:
    """The controllable units (one agent each) and the renewables."""

    names: tuple[str, ...]  # (n_unit,)
    kind: tuple[Kind, ...]  # (n_unit,)
    bus: Index  # (n_unit,) bus index
    machine: Index  # (n_unit,) machine index of a gas plant, else -1
    p_min: Float  # (n_unit,) MW, output is injection: a demand of 80 MW is an output of -80 MW
    p_max: Float  # (n_unit,) MW
    p_start: Float  # (n_unit,) MW, schedule
    ramp: Float  # (n_unit,) MW per minute
    cost: Float  # (n_unit,) C of the reward, per MW moved
    wear: Float  # (n_unit,) W of the reward, per MW² moved
    is_battery: Bool  # (n_unit,)
    renewable_bus: Index  # (n_renewable,) bus index
