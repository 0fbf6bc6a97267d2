"""Scenarios that training does not meet: which options they take, whether options keep them apart, how many.

Where a grid draws its scenarios, another seed gives others. Where it chooses among recorded ones, such as
days of a data set, another seed gives the same again. A family of the second kind has in its module

    held_out_options(options) -> dict         laid over the options of training: plays what they leave out
    may_have_met(training, evaluation) -> bool   whether these options let both play the same
    n_scenarios(options) -> int | None           how many there are, where the options list them

over options as they were written, checked or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.registry import family

Written = Mapping[str, Any]


def evaluation_options(name: str, training: Written, wanted: Written) -> dict[str, Any]:
    """Return what to lay over training's options for an evaluation.

    Args:
        name: of the grid.
        training: options of the training grid.
        wanted: what the evaluation says itself; it stays, and the family's held-out options go under it.

    Raises:
        UnknownGridError: no such grid.
    """
    held_out = getattr(family(name), "held_out_options", None)
    laid: Written = held_out({**training, **wanted}) if held_out else {}
    return {**laid, **wanted}


def may_have_met(name: str, training: Written, evaluation: Written) -> bool:
    """Return whether a training may have played what an evaluation with another seed plays.

    Args:
        name: of the grid.
        training: options of the training grid.
        evaluation: options of the evaluation's grid, all of them.

    Raises:
        UnknownGridError: no such grid.
    """
    met = getattr(family(name), "may_have_met", None)
    return bool(met and met(training, evaluation))


def n_scenarios(name: str, options: Written) -> int | None:
    """Return how many scenarios the options list, each of which comes again after the last; None: no end.

    Args:
        name: of the grid.
        options: of the evaluation's grid, all of them.

    Raises:
        UnknownGridError: no such grid.
    """
    count = getattr(family(name), "n_scenarios", None)
    listed: int | None = count(options) if count else None
    return listed
