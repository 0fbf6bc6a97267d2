"""From agents' actions to voltage setpoints: ten levels (PowerNet), or any voltage in the range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.errors import OptionError
from simulator.microgrid.options import ActionsOption, Options
from simulator.microgrid.seats import Seats
from simulator.microgrid.types import Float, System

Actions = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Setpoints:
    """How actions are read; level k of n is V_min + (V_max - V_min) k / n, so that the top is below V_max."""

    kind: ActionsOption
    levels: int
    v_min: float  # V
    v_max: float  # V
    v_nom: float  # V

    def space(self, n_dg: int) -> spaces.Space[Any]:
        """Return the action space of an agent with n_dg DGs."""
        if self.kind == "continuous":
            return spaces.Box(-1.0, 1.0, (n_dg,), np.float32)
        return spaces.Discrete(self.levels) if n_dg == 1 else spaces.MultiDiscrete([self.levels] * n_dg)

    def names(self, dgs: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the choices (one DG, levels: "502 V") or of the components (else)."""
        if self.kind == "discrete" and len(dgs) == 1:
            return tuple(f"{self.volts(np.array(k)):.6g} V" for k in range(self.levels))
        top = self.v_max if self.kind == "continuous" else self.volts(np.array(self.levels - 1))
        return tuple(f"{dg}: {self.v_min:.6g} V to {top:.6g} V" for dg in dgs)

    def volts(self, action: NDArray[np.generic]) -> Float:
        """Return the setpoints in V."""
        values = np.asarray(action, np.float64)
        share = (values + 1.0) / 2.0 if self.kind == "continuous" else values / self.levels
        return self.v_min + (self.v_max - self.v_min) * share

    def nominal(self, n_envs: int, n_dg: int) -> NDArray[np.generic]:
        """Return the actions (E, ...) whose setpoints are nearest to nominal."""
        share = float(np.clip((self.v_nom - self.v_min) / (self.v_max - self.v_min), 0.0, 1.0))
        if self.kind == "continuous":
            return np.full((n_envs, n_dg), 2.0 * share - 1.0, np.float32)
        level = min(round(share * self.levels), self.levels - 1)
        return np.full((n_envs,) if n_dg == 1 else (n_envs, n_dg), level, np.int64)

    def all_volts(self, seats: Seats, actions: Actions) -> Float:
        """Return (E, n_dg) V out of checked actions of all agents."""
        tables = [np.asarray(actions[name]) for name in seats.names]
        n_envs = len(tables[0])
        volts = np.empty((n_envs, sum(map(len, seats.members))))
        for dgs, table in zip(seats.members, tables, strict=True):
            volts[:, dgs] = self.volts(table).reshape(n_envs, len(dgs))
        return volts


def read_setpoints(options: Options, system: System) -> Setpoints:
    """Return how actions are read under these options. Raises OptionError if the range is empty."""
    v_min = system.v_min if options.v_min_v is None else options.v_min_v
    v_max = system.v_max if options.v_max_v is None else options.v_max_v
    if not v_min < v_max:
        msg = f"microgrid: setpoints from v_min_v {v_min} to v_max_v {v_max} V; expected v_min_v < v_max_v"
        raise OptionError(msg)
    return Setpoints(options.actions, options.levels, float(v_min), float(v_max), system.v_nom)
