"""What the critic and the agents see: rows of grid2op's values, scaled to order one.

The state holds every feature of the grid. An agent's observation is a selection of its columns: those of
the elements of its cluster, the calendar, and with `border` those of the lines that join it to others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.frame import Bool, Float32
from simulator.transmission.clusters import Clusters
from simulator.transmission.types import Int, Layout, System

BOUND = 10.0  # features are clipped here
_CALENDAR = ("sin_day", "cos_day", "sin_week", "cos_week")


@dataclass(frozen=True)
class _Column:
    """One feature: (value of grid2op - offset) / scale."""

    name: str
    unit: str
    source: int  # column of the row
    offset: float
    scale: float
    owners: frozenset[int]  # clusters that see it
    joint: frozenset[int]  # clusters that see it with `border`


class Features:
    """Turns rows (E, width) into the state and the observations."""

    def __init__(self, system: System, clusters: Clusters, *, border: bool) -> None:
        self._layout = Layout(system)
        columns = _columns(system, clusters, self._layout)
        self.names = tuple(column.name for column in columns) + _CALENDAR
        self.units = tuple(column.unit for column in columns) + ("1",) * len(_CALENDAR)
        self._source = np.array([column.source for column in columns])
        self._offset = np.array([column.offset for column in columns], np.float32)
        self._gain = np.array([1.0 / column.scale for column in columns], np.float32)
        topo = self._layout.slices["topo_vect"]
        self._topo = np.flatnonzero((self._source >= topo.start) & (self._source < topo.stop))
        self._soon = np.flatnonzero(_within(self._source, self._layout.slices["time_next_maintenance"]))
        calendar = list(range(len(columns), len(self.names)))
        self._own = [
            np.array([i for i, c in enumerate(columns) if k in (c.joint if border else c.owners)] + calendar)
            for k in range(len(clusters.names))
        ]

    def columns(self, cluster: int) -> Int:
        """Return the columns of the state that make up the observation of a cluster's agents."""
        return self._own[cluster]

    def state(self, rows: Float32) -> Float32:
        """Return (E, s): all features of rows (E, width)."""
        raw = rows[:, self._source]
        out = np.empty((len(rows), len(self.names)), np.float32)
        features = out[:, : len(self._source)]
        np.multiply(raw - self._offset, self._gain, out=features)
        # A disconnected element is on no busbar: 0, between busbar 1 (-1) and 2 (+1).
        features[:, self._topo] *= raw[:, self._topo] > 0
        # Steps until maintenance (-1: none is planned) as an urgency: 1 now, 0 a day ahead or more.
        ahead = raw[:, self._soon]
        features[:, self._soon] = np.where(ahead < 0, 0.0, np.maximum(0.0, 1.0 - ahead / 288.0))
        np.clip(features, -BOUND, BOUND, out=features)
        self._write_calendar(rows, out[:, len(self._source) :])
        return out

    def _write_calendar(self, rows: Float32, out: Float32) -> None:
        minute = self._layout.view(rows, "minute_of_day")[:, 0]
        weekday = self._layout.view(rows, "day_of_week")[:, 0]
        day = 2.0 * np.pi * minute / 1440.0
        week = 2.0 * np.pi * (weekday + minute / 1440.0) / 7.0
        for column, values in enumerate((np.sin(day), np.cos(day), np.sin(week), np.cos(week))):
            out[:, column] = values


def _within(columns: Int, part: slice) -> Bool:
    inside: Bool = (columns >= part.start) & (columns < part.stop)
    return inside


def _columns(system: System, clusters: Clusters, layout: Layout) -> list[_Column]:
    out: list[_Column] = []

    def add(field: str, index: int, name: str, unit: str, scale: float, owners: set[int],
            joint: set[int] | None = None, offset: float = 0.0) -> None:  # fmt: skip
        source = layout.slices[field].start + index
        everyone = frozenset(owners | (joint or set()))
        out.append(_Column(name, unit, source, offset, scale, frozenset(owners), everyone))

    _add_lines(system, clusters, add)
    _add_injections(system, clusters, add)
    for index, sub in enumerate(system.substations):
        add(
            "time_before_cooldown_sub", index, f"{sub}.cooldown", "10 steps", 10.0, {int(clusters.sub[index])}
        )
    _add_topology(system, clusters, add)
    return out


def _add_topology(system: System, clusters: Clusters, add: Callable[..., None]) -> None:
    unit, half = "-1: busbar 1, +1: last, 0: none", max(0.5 * (system.n_busbar - 1), 0.5)
    joint: list[set[int] | None] = [None] * system.n_topo
    for line in range(system.n_line):
        for place in (system.line_or_pos[line], system.line_ex_pos[line]):
            joint[place] = _touching(system, clusters, line)
    for index, (name, sub) in enumerate(zip(system.topo_names, system.topo_sub.tolist(), strict=True)):
        at, middle = {int(clusters.sub[sub])}, 0.5 * (1 + system.n_busbar)
        add("topo_vect", index, f"{name}.bus", unit, half, at, joint[index], middle)


def _touching(system: System, clusters: Clusters, line: int) -> set[int]:
    ends = clusters.sub[system.line_or_sub[line]], clusters.sub[system.line_ex_sub[line]]
    return {int(clusters.line[line]), *(int(end) for end in ends)}


def _add_lines(system: System, clusters: Clusters, add: Callable[..., None]) -> None:
    for line, name in enumerate(system.lines):
        owner, touching = {int(clusters.line[line])}, _touching(system, clusters, line)
        for field, feature, unit, scale in (
            ("rho", "rho", "thermal limit", 1.0),
            ("line_status", "status", "1: in service", 1.0),
            ("timestep_overflow", "overflow", "3 steps", 3.0),
            ("time_before_cooldown_line", "cooldown", "10 steps", 10.0),
            ("time_next_maintenance", "maintenance", "1: now, 0: a day ahead or more", 1.0),
            ("duration_next_maintenance", "maintenance_duration", "100 steps", 100.0),
        ):
            add(field, line, f"line_{name}.{feature}", unit, scale, owner, touching)
        for end, sub in (("or", system.line_or_sub[line]), ("ex", system.line_ex_sub[line])):
            at, kv, mw = {int(clusters.sub[sub])}, float(system.sub_kv[sub]), float(system.line_mw[line])
            amps = mw / (np.sqrt(3.0) * kv) * 1e3
            place = f"line_{name}.{'origin' if end == 'or' else 'extremity'}"
            add(f"p_{end}", line, f"{place}.p", f"{mw:.4g} MW", mw, at, touching)
            add(f"q_{end}", line, f"{place}.q", f"{mw:.4g} Mvar", mw, at, touching)
            add(f"v_{end}", line, f"{place}.v", *_kv(kv), at, touching, kv)
            add(f"a_{end}", line, f"{place}.a", f"{amps:.4g} A", amps, at, touching)


def _add_injections(system: System, clusters: Clusters, add: Callable[..., None]) -> None:
    for i, name in enumerate(system.loads):
        at, mw = {int(clusters.load[i])}, float(system.load_mw[i])
        kv = float(system.sub_kv[system.load_sub[i]])
        add("load_p", i, f"{name}.p", f"{mw:.4g} MW", mw, at)
        add("load_q", i, f"{name}.q", f"{mw:.4g} Mvar", mw, at)
        add("load_v", i, f"{name}.v", *_kv(kv), at, None, kv)
    for i, name in enumerate(system.generators):
        at, mw, mvar = {int(clusters.gen[i])}, float(system.gen_pmax[i]), float(system.gen_mvar[i])
        kv = float(system.sub_kv[system.gen_sub[i]])
        add("gen_p", i, f"{name}.p", f"{mw:.4g} MW", mw, at)
        add("gen_q", i, f"{name}.q", f"{mvar:.4g} Mvar", mvar, at)
        add("gen_v", i, f"{name}.v", *_kv(kv), at, None, kv)
        add("target_dispatch", i, f"{name}.target_dispatch", f"{mw:.4g} MW", mw, at)
        add("actual_dispatch", i, f"{name}.actual_dispatch", f"{mw:.4g} MW", mw, at)
        add("curtailment_limit", i, f"{name}.curtailment_limit", "pmax", 1.0, at)
        add("curtailment", i, f"{name}.curtailment", "pmax", 1.0, at)
    for i, name in enumerate(system.storages):
        at = {int(clusters.storage[i])}
        energy, power = float(system.storage_emax[i]) or 1.0, float(system.storage_absorb[i]) or 1.0
        add("storage_charge", i, f"{name}.charge", f"{energy:.4g} MWh", energy, at)
        add("storage_power", i, f"{name}.power", f"{power:.4g} MW", power, at)


def _kv(kv: float) -> tuple[str, float]:
    """Return unit and scale of a voltage, shown as its deviation from the value at rest."""
    return f"{0.1 * kv:.4g} kV from {kv:.4g} kV", 0.1 * kv
