"""The modes of the linearized grid: eigenvalues, frequencies, damping, and who swings against whom.

P. Kundur, Power System Stability and Control, 1994, section 12.2: an eigenvalue σ ± jω has frequency
ω/2π and damping ratio −σ/|λ|; the right eigenvector is the mode's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from simulator.frequency.kernel import sine_jacobian
from simulator.frequency.network import topology
from simulator.frequency.propagator import matrices
from simulator.frequency.types import Flow, System

SLOWEST_SWING_HZ = 0.1  # below it the machines move together: governor and frequency, not swings


@dataclass(frozen=True)
class Mode:
    """One pair of conjugate eigenvalues in which machines swing against each other."""

    eigenvalue: complex  # 1/s, the one with positive imaginary part
    frequency_hz: float
    damping_ratio: float
    shape: NDArray[np.complex128]  # (n_machine,) speeds, the largest being 1


def eigenvalues(system: System) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return all eigenvalues (n_x,) in 1/s and right eigenvectors (n_x, n_x) at the schedule."""
    reduced = topology(system).reduced
    if system.flow == Flow.SINE:
        reduced = sine_jacobian(reduced, system.delta0)
    values, vectors = np.linalg.eig(matrices(system, reduced)[0])
    return cast(NDArray[np.complex128], values), cast(NDArray[np.complex128], vectors)


def modes(system: System) -> list[Mode]:
    """Return the electromechanical modes, slowest first: n_machine − 1 of them."""
    values, vectors = eigenvalues(system)
    m = system.n_machine
    found = []
    for value, vector in zip(values, vectors.T, strict=True):
        frequency = float(value.imag) / (2.0 * np.pi)
        if frequency < SLOWEST_SWING_HZ:
            continue
        speeds = vector[m : 2 * m]
        shape = speeds / speeds[np.argmax(np.abs(speeds))]
        found.append(Mode(complex(value), frequency, -float(value.real) / abs(complex(value)), shape))
    return sorted(found, key=lambda mode: mode.frequency_hz)
