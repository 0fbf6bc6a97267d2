"""The decorator of all compiled functions of this family: a type-preserving `numba.njit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` at its first call and keep the result on disk; 1/0 is inf, as in numpy.

    Compiled callers take the body in (`inline`): as calls, counting the references to all the arrays that
    are handed over would cost three times the arithmetic. The file on disk is renewed when the caller's
    own module changes, so compiled functions that call each other belong in one module.
    """
    return cast(Callable[P, R], njit(cache=True, error_model="numpy", inline="always")(function))
