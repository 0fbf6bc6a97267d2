"""Continuous actions of a cluster: redispatch, curtailment and storage, each scaled to [-1, 1].

redispatch  0 asks for no change; +1 for the generator's full ramp up, -1 for its full ramp down (MW);
            grid2op adds it to the target it already has
curtail     the most that a renewable generator may produce: 0 (and above) is all of pmax, -1 is nothing
storage     +1 charges with the largest power, -1 discharges with the largest power, 0 rests

So 0 everywhere does nothing, and a policy that begins around 0 begins by doing little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.errors import PartitionError
from simulator.frame import Float32
from simulator.transmission.clusters import Clusters
from simulator.transmission.options import Options
from simulator.transmission.types import Int, Layout, System


@dataclass(frozen=True)
class Controls:
    """The d controls of one agent, in the order of its action: redispatch, curtail, storage."""

    names: tuple[str, ...]
    redispatch: Int  # generators
    curtail: Int  # generators
    storage: Int  # storage units

    def neutral(self, rows: Float32, layout: Layout) -> Float32:
        """Return (E, d): the actions that change nothing; curtailment stays at its limit."""
        limits = layout.view(rows, "curtailment_limit")[:, self.curtail]
        e = len(rows)
        return np.concatenate(
            [np.zeros((e, len(self.redispatch)), np.float32), np.clip(limits, 0.0, 1.0) - 1.0,
             np.zeros((e, len(self.storage)), np.float32)],
            axis=1, dtype=np.float32,
        )  # fmt: skip

    def limit(self, actions: Float32, rows: Float32, layout: Layout, system: System) -> Float32:
        """Return (E, d): the actions cut back to what grid2op accepts.

        A target of redispatch beyond the generator's span, and power of a storage unit that is
        disconnected, would make grid2op refuse the actions of all agents.
        """
        out = np.array(actions, dtype=np.float32)
        n = len(self.redispatch)
        target = layout.view(rows, "target_dispatch")[:, self.redispatch]
        span = 0.999 * system.gen_span[self.redispatch]
        up, down = system.ramp_up[self.redispatch], system.ramp_down[self.redispatch]
        out[:, :n] = np.clip(out[:, :n], _ratio(-span - target, down), _ratio(span - target, up))
        storage = n + len(self.curtail)
        out[:, n:storage] = np.minimum(out[:, n:storage], 0.0)
        buses = layout.view(rows, "topo_vect")[:, system.storage_pos[self.storage]]
        out[:, storage:][buses < 0] = 0.0
        return out

    def write(self, action: Float32, command: dict[str, NDArray[Any]], system: System) -> None:
        """Add one copy's action (d,) to what goes to grid2op's action space."""
        redispatch, curtail, storage = np.split(
            action, [len(self.redispatch), len(self.redispatch) + len(self.curtail)]
        )
        n_gen = len(system.generators)
        if redispatch.any():
            ramp = np.where(
                redispatch > 0, system.ramp_up[self.redispatch], system.ramp_down[self.redispatch]
            )
            vector = command.setdefault("redispatch", np.zeros(n_gen, np.float32))
            vector[self.redispatch] = (
                np.float32(0.9999) * redispatch * ramp
            )  # rounding must not exceed the ramp
        if len(curtail):
            vector = command.setdefault("curtail", np.full(n_gen, -1.0, np.float32))  # -1: leave as it is
            vector[self.curtail] = 1.0 + curtail
        if storage.any():
            power = np.where(
                storage > 0, system.storage_absorb[self.storage], system.storage_produce[self.storage]
            )
            vector = command.setdefault("set_storage", np.zeros(len(system.storages), np.float32))
            vector[self.storage] = storage * power


def build_controls(system: System, clusters: Clusters, options: Options) -> tuple[Controls, ...]:
    """Return the controls of every cluster.

    Raises:
        PartitionError: a cluster has nothing to control.
    """
    return tuple(_controls(system, clusters, options, index) for index in range(len(clusters.names)))


def _controls(system: System, clusters: Clusters, options: Options, cluster: int) -> Controls:
    own = clusters.gen == cluster
    none = np.zeros(0, np.int64)
    redispatch = np.flatnonzero(own & system.redispatchable) if "redispatch" in options.kinds else none
    curtail = np.flatnonzero(own & system.renewable) if "curtail" in options.kinds else none
    storage = np.flatnonzero(clusters.storage == cluster) if "storage" in options.kinds else none
    names = (
        *(f"redispatch {system.generators[i]}" for i in redispatch),
        *(f"curtail {system.generators[i]}" for i in curtail),
        *(f"storage {system.storages[i]}" for i in storage),
    )
    if not names:
        msg = (
            f"partition for 'grid2op:{system.name}': cluster '{clusters.names[cluster]}' has nothing to"
            f" control with kinds {options.kinds}; use actions='topology', other kinds, or a partition that"
            " gives it a generator"
        )
        raise PartitionError(msg)
    return Controls(names, redispatch, curtail, storage)


def _ratio(power: Float32, limit: Float32) -> Float32:
    """Return power as a share of a limit, within [-1, 1]; 0 where there is no limit to share."""
    share: Float32 = np.divide(power, limit, out=np.zeros_like(power), where=limit > 0).astype(np.float32)
    return np.clip(share, -1.0, 1.0)
