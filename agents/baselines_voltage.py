"""Classical voltage control of microgrids: nominal setpoints, integral control, and distributed consensus.

All read the range of setpoints from the names of the actions ("480 V to 590 V"), as the grid's
description gives them, and act on one agent's own observation. Consensus needs the neighbours' features
in it (option `observation: neighbours` of the grid).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.description import GridView
from agents.errors import SettingsError

Float = NDArray[np.float64]
BAND = 0.05  # pu, unit of the features v_bd (from 1 pu) and v_bq: half the width of the band


@dataclass(frozen=True)
class SetpointRange:
    """The voltage setpoints that an agent can give."""

    low: float  # V
    high: float  # V
    levels: int  # evenly spaced, low and high included; 0: any voltage in between
    n_dg: int  # how many DGs the agent sets
    single: bool  # whether an action is a number instead of a row

    @classmethod
    def read(cls, space: spaces.Space[NDArray[np.generic]], action_names: Sequence[str]) -> SetpointRange:
        """Read the range out of an action space and the names of its choices or components.

        Raises:
            SettingsError: the names tell no voltages.
        """
        volts = [float(number) for name in action_names for number in re.findall(r"([\d.]+) V\b", name)]
        if len(volts) < 2 or not min(volts) < max(volts):
            msg = f"voltage control: actions {list(action_names)} name no range in V; use it on a microgrid"
            raise SettingsError(msg)
        low, high = min(volts), max(volts)
        if isinstance(space, spaces.Discrete):
            return cls(low, high, int(space.n), 1, single=True)
        levels = int(space.nvec[0]) if isinstance(space, spaces.MultiDiscrete) else 0
        return cls(low, high, levels, len(action_names), single=False)

    def action(self, volts: Float) -> NDArray[np.generic]:
        """Return the actions nearest to setpoints (E, n_dg) in V."""
        share = np.clip((volts - self.low) / (self.high - self.low), 0.0, 1.0)
        if not self.levels:
            scaled: NDArray[np.float32] = (2.0 * share - 1.0).astype(np.float32)
            return scaled
        level: NDArray[np.int64] = np.rint(share * (self.levels - 1)).astype(np.int64)
        return level[:, 0] if self.single else level


class NominalSetpoint:
    """Hold every DG at nominal voltage, or as near as the range allows: droop control alone.

    Args:
        setpoints: what the agent can give.
        v_nominal: V.
    """

    def __init__(self, setpoints: SetpointRange, v_nominal: float = 480.0) -> None:
        self._setpoints, self._v_nominal = setpoints, v_nominal

    def act(
        self,
        obs: NDArray[np.float32],
        mask: NDArray[np.bool_] | None = None,  # noqa: ARG002 (all levels are always legal)
        starts: NDArray[np.bool_] | None = None,  # noqa: ARG002 (nothing to remember)
    ) -> NDArray[np.generic]:
        """Return the nominal setpoint for every copy of `obs` (E, d)."""
        return self._setpoints.action(np.full((len(obs), self._setpoints.n_dg), self._v_nominal))


class ConsensusVoltage:
    """Distributed consensus control of bus voltages.

    The tracking error of A. Bidram, A. Davoudi, F. Lewis and J. Guerrero (Distributed cooperative
    secondary control of microgrids using feedback linearization, IEEE Trans. Power Systems 28(3), 2013):
    e_i = a mean_j (v_i - v_j) + g (v_i - v_ref), over the neighbours j that the agent hears. Their
    control of the linearized DG is an integral of -c e_i; here it is summed tick by tick:
    V_i <- V_i - c V_nominal e_i, kept within the range of setpoints, which also stops wind-up. With a = 0
    it is integral control of the own voltage alone.

    Args:
        setpoints: what the agent can give.
        features: names of the observation's features; the DGs it sets come first.
        gain: c, per tick.
        coupling: a, weight of the neighbours; of no effect on an agent that sees no voltage but its own.
        pinning: g, weight of the reference.
        v_nominal: V.

    Raises:
        SettingsError: the observation has no bus voltages.
    """

    def __init__(
        self, setpoints: SetpointRange, features: Sequence[str],
        gain: float = 1.3, coupling: float = 0.1, pinning: float = 1.0, v_nominal: float = 480.0,
    ) -> None:  # fmt: skip
        self._direct = [k for k, name in enumerate(features) if name.endswith("v_bd")]
        self._quadrature = [k for k, name in enumerate(features) if name.endswith("v_bq")]
        if len(self._direct) < setpoints.n_dg or len(self._direct) != len(self._quadrature):
            msg = (
                f"voltage control: features {list(features)} have {len(self._direct)} v_bd and "
                f"{len(self._quadrature)} v_bq, expected one of each for every DG, at least {setpoints.n_dg}"
            )
            raise SettingsError(msg)
        self._setpoints = setpoints
        self._gain, self._coupling, self._pinning = gain, coupling, pinning
        self._v_nominal = v_nominal
        self._volts = np.zeros((0, setpoints.n_dg))  # (E, n_dg) V

    def act(
        self,
        obs: NDArray[np.float32],
        mask: NDArray[np.bool_] | None = None,  # noqa: ARG002 (all levels are always legal)
        starts: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.generic]:
        """Return the next setpoints.

        Args:
            obs: (E, d).
            mask: not used.
            starts: (E,), True where an episode begins; None where that is nowhere but at the first call.
        """
        if len(self._volts) != len(obs):
            self._volts = np.full((len(obs), self._setpoints.n_dg), self._v_nominal)
        if starts is not None:
            self._volts[starts] = self._v_nominal
        step = self._gain * self._v_nominal * self._error(self._magnitudes(obs))
        self._volts = np.clip(self._volts - step, self._setpoints.low, self._setpoints.high)
        return self._setpoints.action(self._volts)

    @property
    def n_heard(self) -> int:
        """Return how many voltages are seen beside one DG's own."""
        return len(self._direct) - 1

    def _magnitudes(self, obs: NDArray[np.float32]) -> Float:
        """Return (E, seen DGs): bus voltages in pu."""
        values = obs.astype(np.float64)
        return np.hypot(1.0 + BAND * values[:, self._direct], BAND * values[:, self._quadrature])

    def _error(self, v: Float) -> Float:
        """Return (E, n_dg): e_i."""
        own = v[:, : self._setpoints.n_dg]
        apart = (v.shape[1] * own - v.sum(axis=1, keepdims=True)) / max(self.n_heard, 1)
        error: Float = self._coupling * apart + self._pinning * (own - 1.0)
        return error


def nominal_setpoint(view: GridView) -> NominalSetpoint:
    """Return the rule for one agent. Raises SettingsError where the grid's actions are no voltages."""
    return NominalSetpoint(SetpointRange.read(view.action_space, view.action_names))


def integral_voltage(view: GridView) -> ConsensusVoltage:
    """Return the rule for one agent. Raises SettingsError where the grid is no microgrid."""
    setpoints = SetpointRange.read(view.action_space, view.action_names)
    return ConsensusVoltage(setpoints, view.feature_names, coupling=0.0)


def consensus_voltage(view: GridView) -> ConsensusVoltage:
    """Return the rule for one agent.

    Raises:
        SettingsError: the grid is no microgrid, or the agent sees no voltage but its own.
    """
    rule = ConsensusVoltage(SetpointRange.read(view.action_space, view.action_names), view.feature_names)
    if rule.n_heard == 0:
        msg = (
            f"baseline 'consensus_voltage' for {view.agent}: no neighbour's voltage is observed; set the "
            "grid's option observation: neighbours, or use integral_voltage"
        )
        raise SettingsError(msg)
    return rule
