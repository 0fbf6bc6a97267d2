"""From one proposal per agent to one joint action that grid2op's rules allow.

In each copy proposals are taken in the order of the largest rho in the agent's cluster, ties in the order
of the agents. One is accepted if, together with those accepted before it, no more substations and lines
are changed than the rules allow, and no line has its status set by one proposal and a busbar by another,
which grid2op calls ambiguous. A proposal that is illegal by itself is left out, and costs the others nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Bool, Float32, Verdict
from simulator.transmission.catalogue import Catalogue, Kind
from simulator.transmission.masks import LEGAL, Rules, Situation
from simulator.transmission.types import Int, System


@dataclass(frozen=True)
class Decision:
    """What became of the proposals of topology agents in E copies."""

    accepted: Int  # (E, n_agents) action carried out; 0 where none
    verdicts: NDArray[np.uint8]  # (E, n_agents) of Verdict
    details: NDArray[np.int32]  # (E, n_agents) reason or winner, -1 where there is nothing to add


@dataclass(frozen=True)
class _Touch:
    """What a proposal would change."""

    subs: frozenset[int]
    lines: frozenset[int]  # whose status changes, by themselves or by a busbar that reconnects them
    bused: frozenset[int]  # that have an end at a substation whose busbars change
    by_status: bool


class Arbiter:
    """Decides between the proposals of all agents, in every copy."""

    def __init__(self, system: System, rules: Rules, catalogues: tuple[Catalogue | None, ...]) -> None:
        self._system = system
        self._rules = rules
        self._catalogues = catalogues

    def decide(self, proposals: Int, legality: Int, now: Situation, priority: Float32) -> Decision:
        """Decide on proposals.

        Args:
            proposals: (E, n_agents) actions; 0 for agents that are not topology agents.
            legality: (E, n_agents) LEGAL or a Reason, of each proposal by itself.
            now: what the rules look at.
            priority: (E, n_agents), larger goes first.
        """
        verdicts = np.where(legality == LEGAL, Verdict.APPLIED, Verdict.ILLEGAL).astype(np.uint8)
        details = legality.astype(np.int32)
        accepted = np.where(legality == LEGAL, proposals, 0)
        rivals = np.count_nonzero(accepted, axis=1) > 1
        for copy in np.flatnonzero(rivals).tolist():
            order = np.argsort(-priority[copy], kind="stable")
            lost = self._contest(accepted[copy], now.connected[copy], order)
            for loser, winner in lost.items():
                accepted[copy, loser] = 0
                verdicts[copy, loser] = Verdict.LOST_ARBITRATION
                details[copy, loser] = winner
        return Decision(accepted, verdicts, details)

    def _contest(self, proposals: Int, connected: Bool, order: Int) -> dict[int, int]:
        """Return loser -> winner in one copy."""
        taken: dict[int, _Touch] = {}
        lost = {}
        for agent in order.tolist():
            if proposals[agent]:
                touch = self._touch(agent, int(proposals[agent]), connected)
                winner = self._obstacle(touch, taken)
                if winner is None:
                    taken[agent] = touch
                else:
                    lost[agent] = winner
        return lost

    def _obstacle(self, touch: _Touch, taken: dict[int, _Touch]) -> int | None:
        """Return the accepted agent that stands in the way, or None."""
        for agent, other in taken.items():
            if _clash(touch, other) or _clash(other, touch):
                return agent
        subs = touch.subs.union(*(other.subs for other in taken.values()))
        lines = touch.lines.union(*(other.lines for other in taken.values()))
        if len(subs) > self._system.max_subs:
            return next(agent for agent, other in taken.items() if other.subs)
        if len(lines) > self._system.max_lines:
            return next(agent for agent, other in taken.items() if other.lines)
        return None

    def _touch(self, agent: int, action: int, connected: Bool) -> _Touch:
        catalogue = self._catalogues[agent]
        assert catalogue is not None
        kind, target = Kind(int(catalogue.kinds[action])), int(catalogue.targets[action])
        if kind in (Kind.SET_LINE, Kind.CHANGE_LINE):
            return _Touch(frozenset(), frozenset({target}), frozenset(), by_status=True)
        ends = self._rules.lines_at[target]
        reconnected = frozenset(line for line in ends if not connected[line])
        lines = reconnected if kind is Kind.SET_BUS else frozenset()
        return _Touch(frozenset({target}), lines, frozenset(ends), by_status=False)


def _clash(one: _Touch, other: _Touch) -> bool:
    return one.by_status and bool(
        one.lines & (other.bused | (other.lines if other.by_status else frozenset()))
    )
