"""Advance E copies of a microgrid by one tick; compiled, on bare arrays.

Nothing of the model is left out: the current of every inductor evolves. A step turns each branch into
an admittance and a source that stands for its past (companion model: H. W. Dommel, IEEE Trans.
PAS-88(4), 1969), so that a stage costs one sparse solve at the buses; the matrix is factored once per
tick. In time it is ARS(2,2,2) (U. Ascher, S. Ruuth, R. Spiteri, Appl. Numer. Math. 25, 1997, section
2.6), of second order: the stiff linear parts (network, consensus) take its L-stable implicit half, the
slow nonlinear ones (angles, power filters) its explicit half. All phasors are in a frame that turns
evenly for the tick, at the speed DG 1 had when it began; at the end they are turned back to DG 1.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.microgrid.compiled import compiled
from simulator.microgrid.types import Complex, Control, Elimination, Float, Network

Number = TypeVar("Number", np.float64, np.complex128)

GAMMA = 1.0 - sqrt(0.5)  # diagonal of the implicit tableau
DELTA = 1.0 - 1.0 / (2.0 * GAMMA)  # last row of the explicit tableau: (DELTA, 1 - DELTA, 0)
THETA, P, Q = 0, 1, 2  # rows of the slow quantities


class Scratch(NamedTuple):
    """One copy at work: values at the last stage, at the last step (`_0`), and rates."""

    slow: Float  # (3, n_dg) angle in the even frame (rad), P (W), Q (var)
    slow_0: Float
    slow_rate: Float  # (2, 3, n_dg) explicit, at the first two stages
    omega: Float  # (n_dg,) rad/s, frequency setpoints
    omega_0: Float
    omega_rate: Float  # (n_dg,) implicit
    omega_base: Float
    i: Complex  # (n_branch,) A
    i_0: Complex
    i_rate: Complex  # (n_branch,) implicit
    i_base: Complex
    i_slip: Complex  # (2, n_dg) explicit, see `explicit_rates`
    emf: Complex  # (n_branch,) V, terminal voltages of the DGs; 0 behind the couplings
    turn: Complex  # (n_dg,) e^(jθ)
    past: Float  # (n_branch,) ohm, L / (GAMMA h)
    y: Complex  # (n_branch,) S
    injection: Complex  # (n_branch,) A
    v: Complex  # (n_bus + 1,) V, ground last
    matrix: Complex  # value array of the admittance matrix


@compiled
def make_scratch(n_dg: int, n_branch: int, n_bus: int, n_matrix: int) -> Scratch:
    """Return empty arrays for one copy."""
    real, phasor = np.zeros((4, n_dg)), np.zeros((7, n_branch), np.complex128)
    return Scratch(
        np.zeros((3, n_dg)), np.zeros((3, n_dg)), np.zeros((2, 3, n_dg)),
        real[0], real[1], real[2], real[3],
        phasor[0], phasor[1], phasor[2], phasor[3], np.zeros((2, n_dg), np.complex128),
        phasor[4], np.zeros(n_dg, np.complex128), np.zeros(n_branch), phasor[5], phasor[6],
        np.zeros(n_bus + 1, np.complex128), np.zeros(n_matrix, np.complex128),
    )  # fmt: skip


@compiled
def factorize(values: NDArray[Number], elimination: Elimination) -> None:
    """Turn the entries of a matrix into those of 1/D, L and U, in place; a zero pivot leaves inf and NaN."""
    start, row, first_target, target = elimination
    n, n_nonzero = len(start) - 1, len(row)
    for k in range(n):
        inverse = 1.0 / values[k]
        values[k] = inverse
        t = first_target[k]
        for i in range(n + start[k], n + start[k + 1]):
            values[i] *= inverse
            for j in range(n + n_nonzero + start[k], n + n_nonzero + start[k + 1]):
                values[target[t]] -= values[i] * values[j]
                t += 1


@compiled
def solve(values: NDArray[Number], elimination: Elimination, x: NDArray[Number]) -> None:
    """Replace x, the right-hand side, by the solution; entries of x beyond the matrix are left alone."""
    start, row, _, _ = elimination
    n, n_nonzero = len(start) - 1, len(row)
    for k in range(n):
        z = x[k]
        for i in range(start[k], start[k + 1]):
            x[row[i]] -= values[n + i] * z
    for k in range(n - 1, -1, -1):
        z = x[k]
        for i in range(start[k], start[k + 1]):
            z -= values[n + n_nonzero + i] * x[row[i]]
        x[k] = z * values[k]


@compiled
def factorize_network(net: Network, y: Complex, matrix: Complex) -> None:
    """Fill `matrix` with the bus admittance matrix of branches with admittances y, and factor it."""
    n_bus = len(net.place)
    matrix[:] = 0.0
    for k in range(len(y)):
        if net.tail[k] < n_bus:
            matrix[net.tail[k]] += y[k]
        if net.head[k] < n_bus:
            matrix[net.head[k]] += y[k]
        if net.lower[k] >= 0:
            matrix[net.lower[k]] -= y[k]
            matrix[net.upper[k]] -= y[k]
    factorize(matrix, net.elimination)


@compiled
def solve_network(net: Network, s: Scratch) -> None:
    """Find the bus voltages at which the currents `injection` + y (v_tail - v_head) add up to zero."""
    s.v[:] = 0.0
    for k in range(len(s.injection)):
        s.v[net.head[k]] += s.injection[k]
        s.v[net.tail[k]] -= s.injection[k]
    solve(s.matrix, net.elimination, s.v)
    s.v[len(net.place)] = 0.0


@compiled
def network_stage(net: Network, control: Control, v_set: Float, s: Scratch) -> None:
    """Solve L di/dt = -(R + jωL) i + emf + v_tail - v_head for the currents of an implicit stage."""
    for k in range(len(v_set)):
        s.turn[k] = np.cos(s.slow[THETA, k]) + 1j * np.sin(s.slow[THETA, k])
        s.emf[k] = (v_set[k] - control.n_q[k] * s.slow[Q, k]) * s.turn[k]
    for k in range(len(s.i)):
        s.injection[k] = s.y[k] * (s.past[k] * s.i_base[k] + s.emf[k])
    solve_network(net, s)
    for k in range(len(s.i)):
        s.i[k] = s.injection[k] + s.y[k] * (s.v[net.tail[k]] - s.v[net.head[k]])


@compiled
def consensus_stage(control: Control, matrix: Float, gh: float, s: Scratch) -> None:
    """Solve dω_n/dt = -a [(Lap + G)(ω_n - ω_ref) - G m_P P] for the setpoints of an implicit stage.

    This is the secondary control of A. Bidram et al. (IET Gener. Transm. Distrib. 7(8), 2013) with
    ω = ω_n - m_P P put in, whereby the Lap m_P P of frequency and of power sharing cancel.
    """
    for k in range(len(s.omega)):
        d = control.order[k]
        target = s.slow[P, d] * control.m_p[d]
        s.omega_rate[k] = s.omega_base[d] - control.omega_ref + gh * control.pin[d] * target
    solve(matrix, control.elimination, s.omega_rate)
    for k in range(len(s.omega)):
        s.omega[control.order[k]] = control.omega_ref + s.omega_rate[k]
    for k in range(len(s.omega)):
        s.omega_rate[k] = (s.omega[k] - s.omega_base[k]) / gh


@compiled
def explicit_rates(control: Control, v_set: Float, frame: float, stage: int, s: Scratch) -> None:
    """Rates of angle and filtered powers (PowerNet, arXiv 2011.12354, section II) at the last stage.

    The model turns the coupling's own dq frame with DG 1 instead of with its DG; seen from the even
    frame that leaves a slip j (ω_i - ω_1) i_o.
    """
    omega_1 = s.omega[0] - control.m_p[0] * s.slow[P, 0]
    for k in range(len(v_set)):
        omega = s.omega[k] - control.m_p[k] * s.slow[P, k]
        v_od = v_set[k] - control.n_q[k] * s.slow[Q, k]
        power = v_od * s.turn[k] * np.conj(s.i[k])
        s.slow_rate[stage, THETA, k] = omega - frame
        s.slow_rate[stage, P, k] = control.omega_c * (power.real - s.slow[P, k])
        s.slow_rate[stage, Q, k] = control.omega_c * (power.imag - s.slow[Q, k])
        s.i_slip[stage, k] = 1j * (omega - omega_1) * s.i[k]


@compiled
def combine(first: float, second: float, implicit: float, s: Scratch) -> None:
    """Start a stage: the last step plus these multiples of the rates of the stages so far."""
    n_dg = len(s.omega)
    for row in range(3):
        for k in range(n_dg):
            s.slow[row, k] = (
                s.slow_0[row, k] + first * s.slow_rate[0, row, k] + second * s.slow_rate[1, row, k]
            )
    for k in range(n_dg):
        s.omega_base[k] = s.omega_0[k] + implicit * s.omega_rate[k]
    for k in range(len(s.i)):
        s.i_base[k] = s.i_0[k] + implicit * s.i_rate[k]
    for k in range(n_dg):
        s.i_base[k] += first * s.i_slip[0, k] + second * s.i_slip[1, k]


@compiled
def advance(
    net: Network, control: Control, matrix: Float, v_set: Float, frame: float, n_step: int, h: float,
    secondary: bool, s: Scratch,
) -> None:  # fmt: skip
    """Take n_step steps of h seconds."""
    gh = GAMMA * h
    for _ in range(n_step):
        s.slow_0[:] = s.slow
        s.omega_0[:] = s.omega
        s.i_0[:] = s.i
        for stage in range(2):
            explicit_rates(control, v_set, frame, stage, s)
            if stage == 0:
                combine(gh, 0.0, 0.0, s)
            else:
                combine(DELTA * h, (1.0 - DELTA) * h, (1.0 - GAMMA) * h, s)
            if secondary:
                consensus_stage(control, matrix, gh, s)
            network_stage(net, control, v_set, s)
            for k in range(len(s.i)):
                s.i_rate[k] = (s.i[k] - s.i_base[k]) / gh


@compiled
def kirchhoff(net: Network, control: Control, r: Float, l: Float, s: Scratch) -> None:  # noqa: E741
    """Find the bus voltages at this instant: those that keep the branch currents' sums at zero."""
    for k in range(len(s.i)):
        s.y[k] = 1.0 / l[k]
        s.injection[k] = (s.emf[k] - r[k] * s.i[k]) / l[k]
    omega_1 = s.omega[0] - control.m_p[0] * s.slow[P, 0]
    for k in range(len(s.omega)):
        s.injection[k] += 1j * (s.omega[k] - control.m_p[k] * s.slow[P, k] - omega_1) * s.i[k]
    factorize_network(net, s.y, s.matrix)
    solve_network(net, s)


@compiled
def tick(
    net: Network, control: Control, matrix: Float, v_set: Float, r: Float, l: Float,  # noqa: E741
    inertia: float, n_step: int, h: float, secondary: bool,
    delta: Float, p: Float, q: Float, omega_set: Float, current: Complex, v_bus: Complex,
) -> None:  # fmt: skip
    """Advance every copy by n_step steps of h seconds, in place; what fails numerically becomes NaN.

    `matrix` has the factors of 1 + GAMMA h a (Lap + G); v_set is (E, n_dg) V, r (E, n_branch) ohm, l
    (E, n_branch) H; with inertia 1 currents evolve, with 0 they follow the voltages at once; without
    `secondary` frequency setpoints stay; the last line of arguments is the State.
    """
    n_dg, n_branch, n_bus = delta.shape[1], current.shape[1], len(net.place)
    s = make_scratch(n_dg, n_branch, n_bus, n_bus + 2 * len(net.elimination.row))
    for e in range(len(delta)):
        s.slow[THETA], s.slow[P], s.slow[Q] = delta[e], p[e], q[e]
        s.omega[:], s.i[:] = omega_set[e], current[e]
        s.slow_rate[:], s.omega_rate[:], s.i_rate[:], s.i_slip[:] = 0.0, 0.0, 0.0, 0.0
        frame = s.omega[0] - control.m_p[0] * s.slow[P, 0]
        for k in range(n_branch):
            s.past[k] = inertia * l[e, k] / (GAMMA * h)
            s.y[k] = 1.0 / (r[e, k] + s.past[k] + 1j * frame * l[e, k])
        factorize_network(net, s.y, s.matrix)
        for k in range(n_dg):
            s.turn[k] = np.exp(1j * s.slow[THETA, k])
        if inertia == 0.0:
            network_stage(net, control, v_set[e], s)
        advance(net, control, matrix, v_set[e], frame, n_step, h, secondary, s)
        if inertia > 0.0:
            kirchhoff(net, control, r[e], l[e], s)
        back = np.exp(-1j * s.slow[THETA, 0])
        delta[e] = s.slow[THETA] - s.slow[THETA, 0]
        p[e], q[e], omega_set[e], current[e] = s.slow[P], s.slow[Q], s.omega, s.i * back
        for b in range(n_bus):
            v_bus[e, b] = s.v[net.place[b]] * back
