"""The constants of a transmission grid, and one tick of its copies as bare arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Bool, Float32

Int = NDArray[np.int64]


@dataclass(frozen=True)
class System:
    """What never changes: elements, where they are, their limits, and the values at rest used for scaling."""

    name: str  # of the environment
    dt_s: float
    chronics: tuple[str, ...]
    n_busbar: int  # busbars per substation
    substations: tuple[str, ...]
    lines: tuple[str, ...]
    generators: tuple[str, ...]
    loads: tuple[str, ...]
    storages: tuple[str, ...]
    line_or_sub: Int  # (n_line,) substation at the origin
    line_ex_sub: Int  # (n_line,) substation at the extremity
    gen_sub: Int  # (n_gen,)
    load_sub: Int  # (n_load,)
    storage_sub: Int  # (n_storage,)
    line_or_pos: Int  # (n_line,) place in topo_vect
    line_ex_pos: Int  # (n_line,)
    gen_pos: Int  # (n_gen,)
    load_pos: Int  # (n_load,)
    storage_pos: Int  # (n_storage,)
    redispatchable: Bool  # (n_gen,)
    renewable: Bool  # (n_gen,)
    gen_pmax: Float32  # (n_gen,) MW
    gen_span: Float32  # (n_gen,) MW, pmax - pmin
    ramp_up: Float32  # (n_gen,) MW per step
    ramp_down: Float32  # (n_gen,) MW per step
    storage_emax: Float32  # (n_storage,) MWh
    storage_absorb: Float32  # (n_storage,) MW, largest charging power
    storage_produce: Float32  # (n_storage,) MW, largest discharging power
    price: float  # per MWh, of the dearest generator
    sub_kv: Float32  # (n_sub,) kV at rest
    line_mw: Float32  # (n_line,) MW that the thermal limit allows at rest
    load_mw: Float32  # (n_load,) MW at rest, at least a quarter of the mean load
    gen_mvar: Float32  # (n_gen,) Mvar at rest, at least pmax
    max_subs: int  # substations that one step may change
    max_lines: int  # lines whose status one step may change

    @property
    def n_sub(self) -> int:
        """Return the number of substations."""
        return len(self.substations)

    @property
    def n_line(self) -> int:
        """Return the number of lines and transformers."""
        return len(self.lines)

    @property
    def n_topo(self) -> int:
        """Return the number of elements that are connected to a busbar."""
        return 2 * self.n_line + len(self.generators) + len(self.loads) + len(self.storages)

    @property
    def topo_sub(self) -> Int:
        """Return (n_topo,): the substation of each element of topo_vect."""
        out = np.empty(self.n_topo, np.int64)
        for pos, sub in (
            (self.line_or_pos, self.line_or_sub), (self.line_ex_pos, self.line_ex_sub),
            (self.gen_pos, self.gen_sub), (self.load_pos, self.load_sub),
            (self.storage_pos, self.storage_sub),
        ):  # fmt: skip
            out[pos] = sub
        return out

    @property
    def topo_names(self) -> tuple[str, ...]:
        """Return (n_topo,): the name of each element of topo_vect."""
        out = [""] * self.n_topo
        ends = [f"line_{n}.origin" for n in self.lines], [f"line_{n}.extremity" for n in self.lines]
        for pos, names in (
            (self.line_or_pos, ends[0]), (self.line_ex_pos, ends[1]), (self.gen_pos, self.generators),
            (self.load_pos, self.loads), (self.storage_pos, self.storages),
        ):  # fmt: skip
            for place, name in zip(pos, names, strict=True):
                out[place] = name
        return tuple(out)


class Layout:
    """Where each quantity of grid2op's observation stands in one flat row."""

    SCALARS = ("minute_of_day", "day_of_week", "step")

    def __init__(self, system: System) -> None:
        n_line, n_gen, n_load = system.n_line, len(system.generators), len(system.loads)
        n_storage = len(system.storages)
        sizes = dict.fromkeys(LINE_FIELDS, n_line)
        sizes |= dict.fromkeys(GEN_FIELDS, n_gen) | dict.fromkeys(LOAD_FIELDS, n_load)
        sizes |= dict.fromkeys(STORAGE_FIELDS, n_storage)
        sizes |= {"topo_vect": system.n_topo, "time_before_cooldown_sub": system.n_sub}
        self.fields: tuple[str, ...] = tuple(sizes)  # those that are arrays of the observation
        sizes |= dict.fromkeys(self.SCALARS, 1)
        ends = np.cumsum(list(sizes.values()))
        starts = ends - np.array(list(sizes.values()))
        self.slices = {
            name: slice(int(start), int(end)) for name, start, end in zip(sizes, starts, ends, strict=True)
        }
        self.width = int(ends[-1])

    def view(self, rows: Float32, name: str) -> Float32:
        """Return (..., n) of quantity `name` out of rows (..., width)."""
        return rows[..., self.slices[name]]

    def where(self, name: str, members: Iterable[int]) -> list[int]:
        """Return the columns of the given members of quantity `name`."""
        return [self.slices[name].start + int(m) for m in members]


LINE_FIELDS = (
    "rho", "line_status", "timestep_overflow", "time_before_cooldown_line", "time_next_maintenance",
    "duration_next_maintenance", "p_or", "q_or", "v_or", "a_or", "p_ex", "q_ex", "v_ex", "a_ex",
)  # fmt: skip
GEN_FIELDS = (
    "gen_p",
    "gen_q",
    "gen_v",
    "target_dispatch",
    "actual_dispatch",
    "curtailment_limit",
    "curtailment",
)
LOAD_FIELDS = ("load_p", "load_q", "load_v")
STORAGE_FIELDS = ("storage_charge", "storage_power")


@dataclass(frozen=True)
class Tick:
    """What E copies report after one tick, or after a reset."""

    now: Float32  # (E, width) by Layout; where an episode ended, the first row of the next one
    last: Float32  # (E, width) as the tick ended; equal to `now` where no episode ended
    terminated: Bool  # (E,)
    truncated: Bool  # (E,)
    refused: Bool  # (E,) grid2op replaced the agents' joint action by do-nothing
    attacked: Bool  # (E,) an opponent's attack is on
    episode: Int  # (E, 4) of `last`: chronic index, start step, longest length (steps), steps survived
    not_served: NDArray[np.float64]  # (E,) MWh of load from the step of a game over to the end of the episode

    @property
    def done(self) -> Bool:
        """Return (E,): True where an episode ended."""
        return self.terminated | self.truncated
