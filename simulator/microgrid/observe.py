"""What is seen of a microgrid: nine standardized features per DG, and the global state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.microgrid.dynamics import bus_voltage
from simulator.microgrid.types import Complex, Float, State, System

FEATURES = ("delta", "p", "q", "i_od", "i_oq", "i_bd", "i_bq", "v_bd", "v_bq")
LIMIT = 20.0  # standardized features are cut off here, so that a collapse is not seen as infinity


@dataclass(frozen=True)
class Scale:
    """How a quantity x is standardized: (x - center) / width."""

    center: float
    width: float
    unit: str

    @property
    def text(self) -> str:
        """Return the unit of the standardized value, such as "24 V from 480 V"."""
        shift = f" from {self.center:.4g} {self.unit}" if self.center else ""
        return f"{self.width:.4g} {self.unit}{shift}"


def feature_scales(system: System) -> tuple[Scale, ...]:
    """Return the scales of FEATURES: fixed figures around a DG's even share of the nominal load.

    Widths are near the standard deviations under random setpoints.
    """
    omega, v = system.control.omega_ref, system.v_nom
    n_load = system.n_load
    z = system.load_r + system.r[-n_load:] + 1j * omega * (system.load_l + system.l[-n_load:])
    share = complex(np.sum(v**2 / np.conj(z))) / system.n_dg
    p, q = share.real, share.imag
    return (
        Scale(0.0, 0.1, "rad"),
        Scale(p, 0.2 * p, "W"),
        Scale(q, 0.5 * q, "var"),
        Scale(p / v, 0.25 * p / v, "A"),
        Scale(-q / v, 0.5 * q / v, "A"),
        Scale(0.0, p / v, "A"),
        Scale(0.0, q / v, "A"),
        Scale(v, 0.05 * v, "V"),
        Scale(0.0, 0.05 * v, "V"),
    )


def dg_features(system: System, state: State) -> Float:
    """Return (E, n_dg, 9) in SI units, in the order of FEATURES and in the dq frame of each DG.

    i_b is the current that the DG's bus sends into the lines: i_o of the DGs there less its loads.
    """
    local = np.exp(-1j * state.delta)
    i_o = state.current[:, : system.n_dg] * local
    i_b = _sent_into_lines(system, state)[:, system.dg_bus] * local
    v_b = state.v_bus[:, system.dg_bus] * local
    parts = (state.delta, state.p, state.q, i_o.real, i_o.imag, i_b.real, i_b.imag, v_b.real, v_b.imag)
    return np.stack(parts, axis=2)


def standardized(values: Float, scales: Iterable[Scale]) -> NDArray[np.float32]:
    """Return values (..., k) in units of k scales, within ±LIMIT; what is not finite becomes 0."""
    scales = tuple(scales)
    center, width = np.array([s.center for s in scales]), np.array([s.width for s in scales])
    shown: NDArray[np.float32] = np.clip(np.nan_to_num((values - center) / width), -LIMIT, LIMIT).astype(
        np.float32
    )
    return shown


def state_columns(system: System) -> tuple[tuple[str, Scale], ...]:
    """Return name and scale of each column of the global state."""
    features = feature_scales(system)
    mean_droop = float(np.mean(system.control.m_p)) * features[1].center
    columns = [(f"dg_{k + 1}/{name}", scale) for k in range(system.n_dg)
               for name, scale in zip(FEATURES, features, strict=True)]  # fmt: skip
    rise = Scale(0.0, mean_droop, "rad/s above nominal")
    columns += [(f"dg_{k + 1}/omega_set", rise) for k in range(system.n_dg)]
    columns += [(f"bus_{number}/v", Scale(1.0, 0.05, "pu")) for number in system.bus_names]
    for what in ("r", "l"):
        columns += [(f"load_{k + 1}/{what}_scale", Scale(1.0, 0.2, "1")) for k in range(system.n_load)]
    return tuple(columns)


def state_values(
    system: System, state: State, features: Float, load_r_scale: Float, load_l_scale: Float
) -> Float:
    """Return (E, s) in the units of `state_columns`, not yet standardized.

    Args:
        system: the microgrid.
        state: E copies.
        features: of `dg_features`.
        load_r_scale: (E, n_load).
        load_l_scale: (E, n_load).
    """
    rise = state.omega_set - system.control.omega_ref
    flat = features.reshape(state.n_envs, -1)
    return np.hstack([flat, rise, bus_voltage(system, state), load_r_scale, load_l_scale])


def _sent_into_lines(system: System, state: State) -> Complex:
    """Return (E, n_bus) A: the sum of the currents of the lines that begin or end at each bus."""
    n_line = len(system.line_bus)
    outward = np.zeros((n_line, system.n_bus))
    outward[np.arange(n_line), system.line_bus[:, 0]] = 1.0
    outward[np.arange(n_line), system.line_bus[:, 1]] = -1.0
    sent: Complex = state.current[:, system.n_dg : system.n_dg + n_line] @ outward
    return sent
