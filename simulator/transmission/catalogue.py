"""The unitary topology actions of a cluster: nothing, one substation's busbars, or one line's status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from simulator.frame import Bool, Float32
from simulator.transmission.clusters import Clusters
from simulator.transmission.environment import quiet
from simulator.transmission.options import Options
from simulator.transmission.types import Int, System


class Kind(IntEnum):
    """What a topology action does; its target is a substation for the bus kinds, else a line."""

    NOTHING = 0
    SET_BUS = 1
    CHANGE_BUS = 2
    SET_LINE = 3
    CHANGE_LINE = 4


@dataclass(frozen=True)
class Catalogue:
    """The A actions of one agent; action 0 does nothing."""

    names: tuple[str, ...]
    kinds: Int  # (A,) of Kind
    targets: Int  # (A,) substation or line; -1 for action 0
    places: tuple[Int, ...]  # where each action writes in its vector (topo_vect, or the lines)
    values: tuple[Int, ...]  # what it writes: busbar, +1 or -1 (status), 1 (change)

    def __len__(self) -> int:
        return len(self.names)

    def write(self, action: int, command: dict[str, np.ndarray[Any, Any]], system: System) -> None:
        """Add one action to what goes to grid2op's action space."""
        key, size, dtype = {
            Kind.SET_BUS: ("set_bus", system.n_topo, np.int32),
            Kind.CHANGE_BUS: ("change_bus", system.n_topo, np.bool_),
            Kind.SET_LINE: ("set_line_status", system.n_line, np.int32),
            Kind.CHANGE_LINE: ("change_line_status", system.n_line, np.bool_),
        }[Kind(int(self.kinds[action]))]
        vector = command.setdefault(key, np.zeros(size, dtype))
        vector[self.places[action]] = self.values[action]

    def changes(self, actions: Int, buses: Float32, status: Float32) -> Bool:
        """Return (E,): True where the topology after the action differs from the one before it.

        Args:
            actions: (E,).
            buses: (E, n_topo) busbar of every element, -1 where it is disconnected (topo_vect).
            status: (E, n_line) 1 where a line is in service, else 0.
        """
        out = np.zeros(len(actions), np.bool_)
        for copy in np.flatnonzero(actions):
            action = int(actions[copy])
            places, values = self.places[action], self.values[action]
            match Kind(int(self.kinds[action])):
                case Kind.SET_BUS:
                    out[copy] = np.any((values != 0) & (values != buses[copy, places]))
                case Kind.CHANGE_BUS:  # has no effect on what is disconnected
                    out[copy] = np.any(buses[copy, places] > 0)
                case Kind.SET_LINE:
                    out[copy] = np.any((values > 0) != (status[copy, places] > 0.5))
                case Kind.CHANGE_LINE:
                    out[copy] = True
        return out


_Row = tuple[str, Kind, int, Int, Int]  # name, kind, target, places, values


def build_catalogues(env: Any, system: System, clusters: Clusters, options: Options) -> tuple[Catalogue, ...]:
    """Return the catalogue of every cluster.

    Bus actions come from grid2op's enumeration: configurations that join every busbar in use to a line,
    the one with everything on busbar 1 included. Substations with more than `options.max_elements`
    elements get none, as their number doubles with every element.
    """
    with quiet():
        return tuple(
            _gather(_rows(env, system, clusters, options, index)) for index in range(len(clusters.names))
        )


def _rows(env: Any, system: System, clusters: Clusters, options: Options, cluster: int) -> Iterator[_Row]:
    none = np.zeros(0, np.int64)
    yield "do nothing", Kind.NOTHING, -1, none, none
    for sub in np.flatnonzero(clusters.sub == cluster).tolist():
        if np.sum(system.topo_sub == sub) <= options.max_elements:
            if "set_bus" in options.kinds:
                yield from _set_bus(env, system, options, sub)
            if "change_bus" in options.kinds:
                yield from _change_bus(env, system, sub)
    for line in np.flatnonzero(clusters.line == cluster).tolist():
        yield from _line(system, options, line)


def _set_bus(env: Any, system: System, options: Options, sub: int) -> Iterator[_Row]:
    space = env.action_space
    places = np.flatnonzero(system.topo_sub == sub)
    for action in space.get_all_unitary_topologies_set(space, sub, add_alone_line=options.alone_lines):
        values = np.asarray(action.set_bus, dtype=np.int64)[places]
        yield f"set_bus {system.substations[sub]} {_digits(values)}", Kind.SET_BUS, sub, places, values


def _change_bus(env: Any, system: System, sub: int) -> Iterator[_Row]:
    space = env.action_space
    elements = np.flatnonzero(system.topo_sub == sub)
    for action in space.get_all_unitary_topologies_change(space, sub):
        change = np.asarray(action.change_bus, dtype=np.int64)
        name = f"change_bus {system.substations[sub]} {_digits(change[elements])}"
        places = np.flatnonzero(change)
        yield name, Kind.CHANGE_BUS, sub, places, np.ones_like(places)


def _line(system: System, options: Options, line: int) -> Iterator[_Row]:
    place, name = np.array([line]), system.lines[line]
    if "set_line_status" in options.kinds:
        yield f"set_line_status {name} +1", Kind.SET_LINE, line, place, np.array([1])
        yield f"set_line_status {name} -1", Kind.SET_LINE, line, place, np.array([-1])
    if "change_line_status" in options.kinds:
        yield f"change_line_status {name}", Kind.CHANGE_LINE, line, place, np.array([1])


def _gather(rows: Iterator[_Row]) -> Catalogue:
    names, kinds, targets, places, values = zip(*rows, strict=True)
    return Catalogue(names, np.array(kinds, np.int64), np.array(targets, np.int64), places, values)


def _digits(values: Int) -> str:
    return "".join(str(int(value)) for value in values)
