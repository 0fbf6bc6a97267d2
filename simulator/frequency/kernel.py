"""Numba kernels on bare arrays: sine power of the reduced network, and its swing equations in time.

Swing equation: P. Kundur, Power System Stability and Control, 1994, eq. (3.209) with powers as
deviations from the schedule. Integration: kick-drift-kick (velocity Verlet; E. Hairer, C. Lubich,
G. Wanner, Geometric Numerical Integration, 2006, I.1.4), semi-implicit and of second order, with the
governor's lag taken exactly over half a step on either side.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def sine_power(reduced, delta):  # type: ignore[no-untyped-def]
    """Return (m,): P_i = Σ_j b_ij sin(δ_i − δ_j), with b_ij = −reduced_ij."""
    m = len(delta)
    sine, cosine, power = np.sin(delta), np.cos(delta), np.zeros(m)
    for i in range(m):
        a, b = 0.0, 0.0
        for j in range(m):
            if j != i:
                a -= reduced[i, j] * cosine[j]
                b -= reduced[i, j] * sine[j]
        power[i] = sine[i] * a - cosine[i] * b
    return power


@njit(cache=True)
def sine_jacobian(reduced, delta):  # type: ignore[no-untyped-def]
    """Return (m, m): ∂P_i/∂δ_j of `sine_power`, the Laplacian of the synchronizing torques."""
    m = len(delta)
    jacobian = np.zeros((m, m))
    for i in range(m):
        for j in range(m):
            if j != i:
                jacobian[i, j] = reduced[i, j] * np.cos(delta[i] - delta[j])
                jacobian[i, i] -= jacobian[i, j]
    return jacobian


@njit(cache=True)
def sine_swing(delta, omega, governor, power, reduced, delta0, machines, rad_per_s, h, every, path):  # type: ignore[no-untyped-def]
    """Advance copies in place in steps of h seconds; every `every` steps the speeds go to `path`.

    2H_i dω_i/dt = power_i + governor_i − P_i(δ) − D_i ω_i;  dδ_i/dt = rad_per_s ω_i;
    T dgovernor_i/dt = −gain_i ω_i − governor_i.

    Args:
        delta: (n, m) rad from delta0.
        omega: (n, m) pu.
        governor: (n, g) pu.
        power: (n, m) pu, what accelerates the machines before the flow is taken off.
        reduced: (m, m) pu.
        delta0: (m,) rad.
        machines: H (m,) s, D (m,) pu, governed (g,) index, gain (g,) pu, T s.
        rad_per_s: electrical angular speed of 1 pu.
        h: s.
        every: steps between instants.
        path: (n, n_instants, m) output; it fixes how far to go.
    """
    inertia_s, damping, governed, gain, governor_time_s = machines
    n, m = delta.shape
    decay = np.exp(-0.5 * h / governor_time_s)
    push = np.empty(m)
    for e in range(n):
        angle = delta0 + delta[e]
        push[:] = power[e] - sine_power(reduced, angle)
        for step in range(every * path.shape[1]):
            _governor_half(governor[e], omega[e], governed, gain, decay)
            _kick(omega[e], push, governor[e], governed, damping, inertia_s, 0.5 * h, False)
            for i in range(m):
                angle[i] += h * rad_per_s * omega[e, i]
            push[:] = power[e] - sine_power(reduced, angle)
            _kick(omega[e], push, governor[e], governed, damping, inertia_s, 0.5 * h, True)
            _governor_half(governor[e], omega[e], governed, gain, decay)
            if (step + 1) % every == 0:
                path[e, (step + 1) // every - 1] = omega[e]
        delta[e] = angle - delta0


@njit(cache=True)
def _governor_half(governor, omega, governed, gain, decay):  # type: ignore[no-untyped-def]
    for g in range(len(governed)):
        target = -gain[g] * omega[governed[g]]
        governor[g] = target + (governor[g] - target) * decay


@njit(cache=True)
def _kick(omega, push, governor, governed, damping, inertia_s, h, implicit):  # type: ignore[no-untyped-def]
    """Change speeds over h; damping taken at the old speed first and at the new one on the way back."""
    force = push.copy()
    for g in range(len(governed)):
        force[governed[g]] += governor[g]
    for i in range(len(omega)):
        rate = h / (2.0 * inertia_s[i])
        if implicit:
            omega[i] = (omega[i] + rate * force[i]) / (1.0 + rate * damping[i])
        else:
            omega[i] += rate * (force[i] - damping[i] * omega[i])
