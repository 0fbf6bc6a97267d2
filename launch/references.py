"""What an ensemble is compared with: rules that act as agents do, and oracles that may do more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from agents.settings import Baseline

Oracle = Literal["simulate_greedy"]
Reference = Literal[Baseline, Oracle]
REFERENCES: tuple[str, ...] = get_args(Reference)
ORACLES: tuple[str, ...] = get_args(Oracle)

# Grid options under which a rule sees what it goes by, laid over those of the evaluation.
SEES: Mapping[str, Mapping[str, Any]] = {"consensus_voltage": {"observation": "neighbours"}}

NOTES: Mapping[str, str] = {
    "simulate_greedy": "is no agent but an upper reference: it sees the whole grid without delay, decides "
    "for all agents, and tries every action in grid2op's own simulation of the next step, with forecasts",
    "consensus_voltage": "is shown its neighbours' voltages, too",
}
