"""Read a microgrid from its case files and check that it is one.

A case is a folder with `case.json` (constants) and four tables; units are in the column names:

    dg.csv    dg, bus, m_p_rad_s_per_w, n_q_v_per_var
    line.csv  from_bus, to_bus, r_ohm, l_h
    load.csv  bus, r_ohm, l_h, feeder_r_ohm, feeder_l_h
    comm.csv  dg, hears, weight
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path

import numpy as np

from simulator.errors import CaseError
from simulator.microgrid.types import Float, Int

COLUMNS = {
    "dg": ("dg", "bus", "m_p_rad_s_per_w", "n_q_v_per_var"),
    "line": ("from_bus", "to_bus", "r_ohm", "l_h"),
    "load": ("bus", "r_ohm", "l_h", "feeder_r_ohm", "feeder_l_h"),
    "comm": ("dg", "hears", "weight"),
}


@dataclass(frozen=True)
class Constants:
    """What `case.json` says."""

    v_nom_v: float
    frequency_hz: float
    v_min_v: float  # lowest setpoint of a DG
    v_max_v: float  # highest
    coupling_r_ohm: float  # between a DG and its bus
    coupling_l_h: float
    filter_rad_s: float  # cut-off of the power filters
    consensus_gain: float  # a of the secondary frequency control
    pinned_dg: int  # the DG that knows the reference


@dataclass(frozen=True)
class Case:
    """A case as its files have it; buses and DGs by their numbers."""

    name: str
    constants: Constants
    dg: Mapping[str, Float]  # column -> (n_dg,)
    line: Mapping[str, Float]  # column -> (n_line,)
    load: Mapping[str, Float]  # column -> (n_load,)
    comm: Mapping[str, Float]  # column -> (n_link,)

    def buses(self) -> Int:
        """Return (n_bus,): all bus numbers, ascending."""
        named = [self.dg["bus"], self.line["from_bus"], self.line["to_bus"], self.load["bus"]]
        return np.unique(np.concatenate(named)).astype(np.int64)


def read_case(folder: Path) -> Case:
    """Read a case from its folder.

    Raises:
        CaseError: a file, column or constant is missing or not a number, or `check` finds fault.
    """
    tables = {name: _table(folder / f"{name}.csv", columns) for name, columns in COLUMNS.items()}
    case = Case(folder.name, _constants(folder / "case.json"), **tables)
    check(case)
    return case


def check(case: Case) -> None:
    """Check that a case describes a grid that can run.

    Raises:
        CaseError: impossible values, an isolated bus, unknown DGs, or DGs that never hear of the reference.
    """
    c = case.constants
    _positive(case, "case.json", {f.name: np.array([getattr(c, f.name)]) for f in fields(c)})
    if not c.v_min_v < c.v_max_v:
        raise _error(case, "case.json", f"v_min_v {c.v_min_v} is not below v_max_v {c.v_max_v}")
    _positive(case, "dg.csv", {k: case.dg[k] for k in ("m_p_rad_s_per_w", "n_q_v_per_var")})
    _positive(case, "line.csv", {"l_h": case.line["l_h"]})
    _positive(case, "load.csv", {"l_h": case.load["l_h"]})
    _positive(case, "comm.csv", {"weight": case.comm["weight"]})
    _not_negative(case, "line.csv", {"r_ohm": case.line["r_ohm"]})
    rest = ("r_ohm", "feeder_r_ohm", "feeder_l_h")
    _not_negative(case, "load.csv", {k: case.load[k] for k in rest})
    _check_numbers(case)
    _check_connected(case)
    _check_informed(case)


def _constants(path: Path) -> Constants:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        msg = f"case {path.parent.name}: {path} cannot be read as JSON ({error})"
        raise CaseError(msg) from error
    expected = {f.name for f in fields(Constants)}
    if not isinstance(values, dict) or set(values) != expected:
        got = sorted(values) if isinstance(values, dict) else values
        msg = f"case {path.parent.name}: {path.name} has {got}, expected exactly {sorted(expected)}"
        raise CaseError(msg)
    wrong = {k: v for k, v in values.items() if not _is_number(v)}
    if wrong:
        msg = f"case {path.parent.name}: {path.name} has {wrong}, expected numbers, all finite"
        raise CaseError(msg)
    if not isinstance(values["pinned_dg"], int):
        got = values["pinned_dg"]
        msg = f"case {path.parent.name}: {path.name}: pinned_dg is {got!r}, expected a whole number such as 1"
        raise CaseError(msg)
    return Constants(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, Float]:
    where = f"case {path.parent.name}: {path.name}"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            found, rows = reader.fieldnames or (), list(reader)
    except OSError as error:
        needs = ", ".join(f"{name}.csv" for name in COLUMNS)
        msg = f"{where}: cannot be read ({error.strerror}); a case needs case.json, {needs}"
        raise CaseError(msg) from error
    missing = [column for column in columns if column not in found]
    if missing:
        msg = f"{where}: columns {missing} are missing; found {list(found)}, expected {list(columns)}"
        raise CaseError(msg)
    if not rows:
        msg = f"{where}: has no rows; expected at least one"
        raise CaseError(msg)
    return {c: np.array([_number(row[c], f"{where}, row {i + 2}, {c}") for i, row in enumerate(rows)])
            for c in columns}  # fmt: skip


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        msg = f"{where}: is {text!r}, expected a finite number"
        raise CaseError(msg)
    return value


def _error(case: Case, file: str, problem: str) -> CaseError:
    return CaseError(f"case {case.name}: {file}: {problem}")


def _positive(case: Case, file: str, columns: Mapping[str, Float]) -> None:
    for name, values in columns.items():
        if not (values > 0).all():
            bad = int(np.flatnonzero(~(values > 0))[0])
            raise _error(case, file, f"{name} is {values[bad]} in entry {bad + 1}, expected a number > 0")


def _not_negative(case: Case, file: str, columns: Mapping[str, Float]) -> None:
    for name, values in columns.items():
        if not (values >= 0).all():
            bad = int(np.flatnonzero(~(values >= 0))[0])
            raise _error(case, file, f"{name} is {values[bad]} in entry {bad + 1}, expected a number >= 0")


def _check_numbers(case: Case) -> None:
    n_dg = len(case.dg["dg"])
    if not np.array_equal(case.dg["dg"], np.arange(1, n_dg + 1)):
        raise _error(case, "dg.csv", f"dg is {case.dg['dg']}, expected 1, 2, ... in order")
    if case.constants.pinned_dg not in case.dg["dg"]:
        raise _error(case, "case.json", f"pinned_dg is {case.constants.pinned_dg}, expected 1 .. {n_dg}")
    for column in ("dg", "hears"):
        unknown = sorted(set(case.comm[column]) - set(case.dg["dg"]))
        if unknown:
            raise _error(case, "comm.csv", f"{column} has {unknown}, expected numbers of dg.csv, 1 .. {n_dg}")
    if (case.comm["dg"] == case.comm["hears"]).any():
        raise _error(case, "comm.csv", "a DG hears itself; remove that row")


def reached(start: set[int], edges: list[tuple[int, int]]) -> set[int]:
    """Return all nodes to which directed edges lead from `start`, itself included."""
    after: dict[int, list[int]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
    seen, todo = set(start), list(start)
    while todo:
        new = [b for b in after.get(todo.pop(), ()) if b not in seen]
        seen.update(new)
        todo.extend(new)
    return seen


def _check_connected(case: Case) -> None:
    ends = [(int(a), int(b)) for a, b in zip(case.line["from_bus"], case.line["to_bus"], strict=True)]
    buses = case.buses()
    isolated = sorted(set(buses.tolist()) - reached({int(buses[0])}, ends + [(b, a) for a, b in ends]))
    if isolated:
        raise _error(case, "line.csv", f"no lines lead from bus {buses[0]} to buses {isolated}; connect them")


def _check_informed(case: Case) -> None:
    edges = [(int(b), int(a)) for a, b in zip(case.comm["dg"], case.comm["hears"], strict=True)]
    pinned = case.constants.pinned_dg
    deaf = sorted({int(d) for d in case.dg["dg"]} - reached({pinned}, edges))
    if deaf:
        raise _error(case, "comm.csv", f"DGs {deaf} never hear of DG {pinned}, which knows the frequency; "
                     "add links")  # fmt: skip
