"""The days that training leaves out, by the options alone; simulator.held_out says what this is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.transmission.options import Options

Written = Mapping[str, Any]


def held_out_options(options: Written) -> dict[str, Any]:
    """Return the other split where training plays its own; nothing where days are chosen otherwise."""
    plays_train = options.get("split", Options.split) == "train"
    return {"split": "eval"} if plays_train and options.get("scenarios") is None else {}


def may_have_met(training: Written, evaluation: Written) -> bool:
    """Return whether training may have played what the evaluation plays.

    A list of scenarios that only the evaluation has is taken for held out: it was written for that.
    """
    theirs = evaluation.get("scenarios")
    if theirs is not None:
        mine = [tuple(scenario) for scenario in training.get("scenarios") or ()]
        return any(tuple(scenario) in mine for scenario in theirs)
    if training.get("scenarios") is not None:
        return True
    splits = {options.get("split", Options.split) for options in (training, evaluation)}
    if splits == {"train", "eval"}:
        return False
    chronics = [set(options.get("chronics") or ()) for options in (training, evaluation)]
    return not all(chronics) or not chronics[0].isdisjoint(chronics[1])


def n_scenarios(options: Written) -> int | None:
    """Return the length of the list of scenarios, None where days are drawn."""
    listed = options.get("scenarios")
    return None if listed is None else len(listed)
