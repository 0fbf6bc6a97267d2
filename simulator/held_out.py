"""Scenarios that training does not meet: which options they take, and whether options keep them apart.

Where a grid draws its scenarios, another seed gives others. Where it chooses among recorded ones, such as
days of a data set, another seed gives the same again. A family of the second kind has in its module

    held_out_options(options) -> dict         laid over the options of training: plays what they leave out
    may_have_met(training, evaluation) -> bool   whether these options let both play the same

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
