"""Which topology actions grid2op's rules allow now, by tables made once.

All bus actions of one substation are legal together, and so are all status actions of one line. What an
agent may do is therefore one look-up of its actions' targets in a short vector of legal targets.

The rules are grid2op's DefaultRules, LookParam and PreventReconnection (grid2op/Rules): an action is
illegal if it touches a substation or a line in cooldown, or more of them than the parameters allow.
Setting the busbar of an end of a disconnected line reconnects it, so it touches the line, and not the
substation through that end (BaseAction.get_topological_impact).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from simulator.frame import Bool, Float32
from simulator.transmission.catalogue import Catalogue, Kind
from simulator.transmission.types import Int, Layout, System


class Reason(IntEnum):
    """Why a proposal was not carried out: index into `REASONS`."""

    SUBSTATION_COOLDOWN = 0
    LINE_COOLDOWN = 1
    MAINTENANCE = 2
    TOO_MANY = 3
    NOT_ASKED = 4
    REFUSED = 5


REASONS = (
    "the substation is in cooldown",
    "the line, or a line that the action would reconnect, is in cooldown",
    "the line, or a line that the action would reconnect, is in maintenance",
    "the action alone changes more substations or lines than one step may",
    "agents are not asked while the largest rho is below the gate",
    "grid2op refused the joint action",
)
LEGAL = -1


@dataclass(frozen=True)
class Situation:
    """What the rules look at, in E copies."""

    connected: Bool  # (E, n_line)
    line_cooldown: Bool  # (E, n_line)
    maintenance: Bool  # (E, n_line) in maintenance now
    sub_cooldown: Bool  # (E, n_sub)

    @classmethod
    def read(cls, rows: Float32, layout: Layout) -> Situation:
        """Return the situation that rows (E, width) describe."""
        return cls(
            connected=layout.view(rows, "line_status") > 0.5,
            line_cooldown=layout.view(rows, "time_before_cooldown_line") > 0.5,
            maintenance=layout.view(rows, "time_next_maintenance") == 0.0,
            sub_cooldown=layout.view(rows, "time_before_cooldown_sub") > 0.5,
        )


class Rules:
    """The tables of one grid."""

    def __init__(self, system: System, catalogues: tuple[Catalogue | None, ...]) -> None:
        self._system = system
        at_end = np.zeros((system.n_line, system.n_sub), np.float32)
        at_end[np.arange(system.n_line), system.line_or_sub] = 1.0
        at_end[np.arange(system.n_line), system.line_ex_sub] = 1.0
        self._at_end = at_end  # (n_line, n_sub) whether the line ends at the substation
        self._anchored = np.isin(
            np.arange(system.n_sub), np.concatenate([system.gen_sub, system.load_sub, system.storage_sub])
        )  # has an element that is not a line
        self._columns = [None if c is None else self._targets(c) for c in catalogues]

    def verdicts(self, now: Situation) -> Int:
        """Return (E, 1 + 2 n_sub + n_line): LEGAL or a Reason, for every target.

        Targets are: nothing, set_bus at each substation, change_bus at each substation, each line.
        """
        e, n_sub = len(now.connected), self._system.n_sub
        out = np.full((e, 1 + 2 * n_sub + self._system.n_line), LEGAL, np.int64)
        set_bus, change_bus, line = np.split(out[:, 1:], [n_sub, 2 * n_sub], axis=1)

        out_of_service = ~now.connected
        reconnects = out_of_service.astype(np.float32) @ self._at_end  # (E, n_sub) lines
        touches = self._anchored | (now.connected.astype(np.float32) @ self._at_end > 0.5)
        set_bus[self._any_at(out_of_service & now.line_cooldown)] = Reason.LINE_COOLDOWN
        set_bus[self._any_at(out_of_service & now.line_cooldown & now.maintenance)] = Reason.MAINTENANCE
        set_bus[touches & now.sub_cooldown] = Reason.SUBSTATION_COOLDOWN
        too_many = (reconnects > self._system.max_lines) | (touches & (self._system.max_subs < 1))
        set_bus[too_many] = Reason.TOO_MANY

        change_bus[now.sub_cooldown] = Reason.SUBSTATION_COOLDOWN
        line[now.line_cooldown] = Reason.LINE_COOLDOWN
        line[now.line_cooldown & now.maintenance] = Reason.MAINTENANCE
        if self._system.max_subs < 1:
            change_bus[:] = Reason.TOO_MANY
        if self._system.max_lines < 1:
            line[:] = Reason.TOO_MANY
        return out

    def columns(self, agent: int) -> Int:
        """Return (A,): the target of each action of an agent, as a column of `verdicts`."""
        columns = self._columns[agent]
        assert columns is not None
        return columns

    @cached_property
    def lines_at(self) -> tuple[tuple[int, ...], ...]:
        """Return, for every substation, the lines that end there."""
        return tuple(tuple(np.flatnonzero(ends).tolist()) for ends in self._at_end.T)

    def _any_at(self, lines: Bool) -> Bool:
        found: Bool = lines.astype(np.float32) @ self._at_end > 0.5
        return found

    def _targets(self, catalogue: Catalogue) -> Int:
        n_sub = self._system.n_sub
        first = {Kind.NOTHING: 1, Kind.SET_BUS: 1, Kind.CHANGE_BUS: 1 + n_sub, Kind.SET_LINE: 1 + 2 * n_sub,
                 Kind.CHANGE_LINE: 1 + 2 * n_sub}  # fmt: skip
        offsets = np.array([first[Kind(int(kind))] for kind in catalogue.kinds])
        return offsets + catalogue.targets
