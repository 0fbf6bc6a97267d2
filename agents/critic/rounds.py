"""Rounds: all rollouts that end at one tick; the unit of asking and of training.

In lock-step nobody passes the end of a rollout before its advantages have arrived, so all agents ask for
rollouts with the same end before any asks for a later one. Within a round the network does not change,
hence answers do not depend on who asked first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.critic.valuation import Discount, Valuation


@dataclass
class Round:
    """The questions and valuations of one end tick."""

    end: int  # tick of the last state, the one after the last step
    firsts: set[int] = field(default_factory=set)  # first ticks of the rollouts asked for
    asked: dict[int, Discount] = field(default_factory=dict)  # agent index -> its discount
    valuations: dict[int, Valuation] = field(default_factory=dict)  # by first tick

    def enter(self, agent: int, first: int, discount: Discount, valuation: Valuation) -> None:
        """Note that `agent` was answered from `valuation` of the rollout that began at `first`."""
        self.firsts.add(first)
        self.asked[agent] = discount
        self.valuations[first] = valuation

    @property
    def first(self) -> int:
        """Return the first tick of the longest rollout."""
        return min(self.firsts)

    def training_start(self, trained_until: int | None) -> int:
        """Return the first tick of the steps to train on: each step trains the network once."""
        return self.first if trained_until is None else max(self.first, trained_until)

    def sharing(self, agent: int, head_of: Sequence[int]) -> list[tuple[int, Discount]]:
        """Return (agent index, discount) of those that asked and learn from the same signal as `agent`."""
        return [(other, d) for other, d in self.asked.items() if head_of[other] == head_of[agent]]

    def discounts(self, head_of: Sequence[int]) -> tuple[Discount, ...]:
        """Return the discount to train each head with: that of the first agent that shares it and asked.

        A head of which nobody asked takes that of the first agent of all.
        """
        anyone = self.asked[min(self.asked)]
        by_head: dict[int, Discount] = {}
        for agent in sorted(self.asked):
            by_head.setdefault(head_of[agent], self.asked[agent])
        return tuple(by_head.get(head, anyone) for head in range(max(head_of) + 1))

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to train on this round after a restart."""
        asked = {agent: [d.gamma, d.lam] for agent, d in self.asked.items()}
        return {"end": self.end, "firsts": sorted(self.firsts), "asked": asked}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Round:
        """Return the round that `state_dict` described; its valuations are to be computed again."""
        asked = {int(agent): Discount(*pair) for agent, pair in state["asked"].items()}
        return cls(int(state["end"]), set(state["firsts"]), asked)
