"""The linear model in exact steps: matrices that carry the state over a time with inputs held.

x = (δ, ω, p_governor) obeys dx/dt = A x + B u with u the accelerating power per machine in pu. With u
held over h, x(t+h) = Φ x(t) + Γ u, where [[Φ, Γ], [0, 1]] = exp([[A, B], [0, 0]] h)  (C. Van Loan, IEEE
Trans. Autom. Control 23(3), 1978). Powers of that matrix give the speeds at instants in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from simulator.frequency.network import topology
from simulator.frequency.types import Float, System


@dataclass(frozen=True)
class Propagator:
    """Rows (x, u) of the copies times these matrices are the new x and the speeds on the way."""

    step: Float  # (n_x + n_machine, n_x)
    path: Float  # (n_x + n_machine, n_instants · n_machine) speeds, the last instant being the new state


def matrices(system: System, reduced: Float) -> tuple[Float, Float]:
    """Return A (n_x, n_x) and B (n_x, n_machine) of the linear model with this reduced Laplacian.

    dδ/dt = 2π f ω;  2H dω/dt = u + p_governor − reduced δ − D ω;  T dp/dt = −ω/R − p  (physics as in
    P. Kundur, Power System Stability and Control, 1994, eqs. 3.209 and 11.2).
    """
    m, g = system.n_machine, len(system.governed)
    i, gov = np.arange(m), np.arange(g)
    A, B = np.zeros((2 * m + g, 2 * m + g)), np.zeros((2 * m + g, m))
    per_inertia = 1.0 / (2.0 * system.inertia_s)
    A[i, m + i] = 2.0 * np.pi * system.nominal_hz
    A[m : 2 * m, :m] = -per_inertia[:, None] * reduced
    A[m + i, m + i] = -per_inertia * system.damping
    A[m + system.governed, 2 * m + gov] = per_inertia[system.governed]
    A[2 * m + gov, m + system.governed] = -system.governor_gain / system.governor_time_s
    A[2 * m + gov, 2 * m + gov] = -1.0 / system.governor_time_s
    B[m + i, i] = per_inertia
    return A, B


def propagator(system: System, branch_out: int, dt_s: float, n_instants: int) -> Propagator:
    """Return the matrices for one time step with n equal instants in it, made once per system."""
    key = ("propagator", branch_out, dt_s, n_instants)
    if key not in system.cache:
        system.cache[key] = _propagator(system, branch_out, dt_s, n_instants)
    found: Propagator = system.cache[key]
    return found


def _propagator(system: System, branch_out: int, dt_s: float, n_instants: int) -> Propagator:
    A, B = matrices(system, topology(system, branch_out).reduced)
    n_x, m = B.shape
    generator = np.zeros((n_x + m, n_x + m))
    generator[:n_x, :n_x], generator[:n_x, n_x:] = A, B
    short = expm(generator * (dt_s / n_instants))
    power, speeds = np.eye(n_x + m), []
    for _ in range(n_instants):
        power = short @ power
        speeds.append(power[m : 2 * m])
    return Propagator(power[:n_x].T.copy(), np.concatenate(speeds).T.copy())
