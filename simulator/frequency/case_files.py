"""Read a case from its folder and refuse what does not describe a grid.

A folder has bus.csv, branch.csv and machine.csv (columns as in data/), in per-unit on 100 MVA, and
sites.csv, which says where batteries, gas plants, demand response and renewables are.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from simulator.errors import CaseError
from simulator.frequency.types import Case, Index, Kind

DATA = Path(__file__).parent / "data"
T = TypeVar("T")


def read_case(folder: Path) -> Case:
    """Read and check the four files of a case.

    Args:
        folder: where bus.csv, branch.csv, machine.csv and sites.csv are.

    Raises:
        CaseError: a file or column is missing, a value is not a number or impossible, a bus is
            unknown, named twice or isolated. The message names file, line and column.
    """
    buses = _table(folder / "bus.csv", ("bus", "type", "p_gen_pu", "p_load_pu"))
    branches = _table(folder / "branch.csv", ("from_bus", "to_bus", "x_pu", "tap_ratio"))
    machines = _table(folder / "machine.csv", ("bus", "mva_base", "xd_transient_pu", "h_s"))
    sites = _table(folder / "sites.csv", ("kind", "bus"))
    numbers = buses.integers("bus")
    index = {int(number): position for position, number in enumerate(numbers)}
    if len(index) < len(numbers):
        msg = f"{buses.path}: column 'bus' has the same bus twice, expected every bus once"
        raise CaseError(msg)
    slacks = [position for position, kind in enumerate(buses.words("type")) if kind == "slack"]
    case = Case(
        bus_number=numbers,
        load_pu=buses.numbers("p_load_pu", minimum=0.0),
        gen_pu=buses.numbers("p_gen_pu", minimum=0.0),
        slack=_one_slack(slacks, buses.path),
        branch_from=branches.buses("from_bus", index),
        branch_to=branches.buses("to_bus", index),
        branch_x_pu=branches.positive("x_pu"),
        branch_tap=branches.positive("tap_ratio"),
        machine_bus=machines.buses("bus", index),
        machine_mva=machines.positive("mva_base"),
        machine_x_pu=machines.positive("xd_transient_pu"),
        machine_h_s=machines.positive("h_s"),
        site_kind=sites.kinds("kind"),
        site_bus=sites.buses("bus", index),
    )
    _check_case(case, folder)
    return case


def components(case: Case, without: int = -1) -> tuple[int, Index]:
    """Return how many islands the grid has, and the island of each bus, with one branch open or none."""
    keep = np.arange(len(case.branch_from)) != without
    ends = (case.branch_from[keep], case.branch_to[keep])
    n_bus = len(case.bus_number)
    graph = coo_array((np.ones(int(keep.sum())), ends), shape=(n_bus, n_bus))
    count, label = connected_components(graph, directed=False)
    return int(count), label.astype(np.int64)


@dataclass(frozen=True)
class _Table:
    path: Path
    rows: Sequence[dict[str, str]]

    def words(self, column: str) -> list[str]:
        return [row[column].strip() for row in self.rows]

    def numbers(self, column: str, minimum: float = -np.inf) -> np.ndarray:
        values = self._parse(column, float, "a number")
        for line, value in enumerate(values, start=2):
            if not isfinite(value) or value < minimum:
                self._refuse(line, column, value, "a finite number" + f" >= {minimum}" * isfinite(minimum))
        return np.array(values)

    def positive(self, column: str) -> np.ndarray:
        values = self.numbers(column)
        for line, value in enumerate(values, start=2):
            if value <= 0:
                self._refuse(line, column, value, "a number > 0")
        return values

    def integers(self, column: str) -> Index:
        return np.array(self._parse(column, int, "a whole number"), dtype=np.int64)

    def buses(self, column: str, index: dict[int, int]) -> Index:
        numbers = self.integers(column)
        for line, number in enumerate(numbers, start=2):
            if int(number) not in index:
                self._refuse(line, column, number, "a bus of bus.csv")
        return np.array([index[int(number)] for number in numbers], dtype=np.int64)

    def kinds(self, column: str) -> tuple[Kind, ...]:
        return tuple(self._parse(column, Kind, "one of " + ", ".join(Kind)))

    def _parse(self, column: str, kind: Callable[[str], T], expected: str) -> list[T]:
        values = []
        for line, word in enumerate(self.words(column), start=2):
            try:
                values.append(kind(word))
            except ValueError:
                self._refuse(line, column, word, expected)
        return values

    def _refuse(self, line: int, column: str, got: object, expected: str) -> None:
        msg = f"{self.path} line {line}: column '{column}' is {got!s}, expected {expected}"
        raise CaseError(msg)


def _table(path: Path, columns: tuple[str, ...]) -> _Table:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); a case is a folder with this file in it"
        raise CaseError(msg) from error
    reader = csv.DictReader(text.splitlines(), restval="")
    rows = list(reader)
    missing = sorted(set(columns) - set(reader.fieldnames or ()))
    if missing:
        msg = f"{path}: columns {missing} are missing, expected {list(columns)}, got {reader.fieldnames}"
        raise CaseError(msg)
    if not rows:
        msg = f"{path}: has no rows, expected at least one"
        raise CaseError(msg)
    return _Table(path, rows)


def _one_slack(slacks: list[int], path: Path) -> int:
    if len(slacks) != 1:
        msg = f"{path}: column 'type' says 'slack' {len(slacks)} times, expected once"
        raise CaseError(msg)
    return slacks[0]


def _check_case(case: Case, folder: Path) -> None:
    count, label = components(case)
    if count > 1:
        lost = case.bus_number[label != np.bincount(label).argmax()].tolist()
        msg = f"{folder / 'branch.csv'}: buses {lost} are isolated from the rest, expected one connected grid"
        raise CaseError(msg)
    machines = case.machine_bus.tolist()
    if len(set(machines)) < len(machines) or case.slack not in machines:
        msg = f"{folder / 'machine.csv'}: expected at most one machine per bus, and one at the slack bus"
        raise CaseError(msg)
    without = np.setdiff1d(np.flatnonzero(case.gen_pu), case.machine_bus)
    if without.size:
        msg = f"{folder / 'bus.csv'}: buses {case.bus_number[without].tolist()} generate but have no machine"
        raise CaseError(msg)
    _check_sites(case, folder / "sites.csv")


def _check_sites(case: Case, path: Path) -> None:
    sites = list(zip(case.site_kind, case.site_bus.tolist(), strict=True))
    if len(set(sites)) < len(sites):
        msg = f"{path}: a site is named twice, expected each kind at most once per bus"
        raise CaseError(msg)
    units = [kind for kind, _ in sites if kind != Kind.RENEWABLE]
    stray = [int(case.bus_number[b]) for k, b in sites if k == Kind.GAS and b not in case.machine_bus]
    if not units or stray:
        msg = f"{path}: gas at buses {stray} has no machine, or no units at all ({len(units)}); expected both"
        raise CaseError(msg)
