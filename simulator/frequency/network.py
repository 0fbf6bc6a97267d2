"""From branches to the machines: Laplacian, Kron reduction, frequency divider, electrical distance.

Sources: Kron reduction and its Laplacian, F. Dörfler and F. Bullo, IEEE Trans. Circuits Syst. I 60(1),
2013, eq. (6). Frequency divider, F. Milano and Á. Ortega, IEEE Trans. Power Syst. 32(2), 2017, eq. (18)
with the susceptances of a lossless network. Resistance distance, D. Klein and M. Randić, J. Math. Chem.
12, 1993, here of reactances.
"""

from __future__ import annotations

import numpy as np

from simulator.frequency.case_files import components
from simulator.frequency.kernel import sine_power
from simulator.frequency.types import Case, Float, Flow, Index, System, Topology


def bus_laplacian(case: Case, branch_b: Float, without: int = -1) -> Float:
    """Return (n_bus, n_bus): the Laplacian of the branches in pu, one of them open or none."""
    b = branch_b.copy()
    if without >= 0:
        b[without] = 0.0
    n = len(case.bus_number)
    laplacian = np.zeros((n, n))
    i, j = case.branch_from, case.branch_to
    np.add.at(laplacian, (i, i), b)
    np.add.at(laplacian, (j, j), b)
    np.add.at(laplacian, (i, j), -b)
    np.add.at(laplacian, (j, i), -b)
    return laplacian


def reduce(case: Case, branch_b: Float, machine_b: Float, without: int = -1) -> tuple[Float, Float]:
    """Eliminate the buses.

    With internal nodes G behind 1/x'd and buses B, L_GG − L_GB L_BB⁻¹ L_BG is what the machines see of
    each other, and −L_BB⁻¹ L_BG is the frequency divider; its transpose brings bus injections to the
    machines.

    Returns:
        The reduced Laplacian (n_machine, n_machine) in pu and the divider (n_bus, n_machine).
    """
    L_BB = bus_laplacian(case, branch_b, without)
    m = np.arange(len(machine_b))
    L_BG = np.zeros((len(L_BB), len(m)))
    L_BG[case.machine_bus, m] = -machine_b
    L_BB[case.machine_bus, case.machine_bus] += machine_b
    divider = -np.linalg.solve(L_BB, L_BG)
    reduced = np.diag(machine_b) + L_BG.T @ divider
    return (reduced + reduced.T) / 2, divider


def topology(system: System, without: int = -1) -> Topology:
    """Return the network without branch `without` (-1: with all), made once per system."""
    key = ("topology", without)
    if key not in system.cache:
        system.cache[key] = _topology(system, without)
    found: Topology = system.cache[key]
    return found


def _topology(system: System, without: int) -> Topology:
    reduced, divider = reduce(system.case, system.branch_b, system.machine_b, without)
    schedule = (system.machine_mw - system.load_mw @ divider) / system.base_mva
    sine = system.flow == Flow.SINE
    if without < 0:  # exactly at rest, whatever the rounding of δ0
        at_rest = sine_power(reduced, system.delta0) if sine else np.zeros(system.n_machine)
        return Topology(reduced, divider, at_rest)
    return Topology(reduced, divider, schedule if sine else schedule - reduced @ system.delta0)


def safe_branches(case: Case) -> Index:
    """Return the branches that may open without islanding a bus."""
    n_branch = len(case.branch_from)
    return np.array([k for k in range(n_branch) if components(case, k)[0] == 1], dtype=np.int64)


def distance(case: Case) -> Float:
    """Return (n_bus, n_bus): the reactance between every two buses through the whole network, pu."""
    inverse = np.linalg.pinv(bus_laplacian(case, 1.0 / (case.branch_x_pu * case.branch_tap)), hermitian=True)
    own = np.diag(inverse)
    gap: Float = own[:, None] + own[None, :] - 2.0 * inverse
    return gap
