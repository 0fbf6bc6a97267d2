"""The one way in which this package compiles: cached on disk, and free of the interpreter lock.

Kernels that hold no lock run side by side in threads, so that many pairs are computed in parallel
without copying the samples to other processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Return `function` compiled to machine code at its first call."""
    return cast(F, njit(cache=True, nogil=True)(function))


def _popcount(_typing: Any, word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(word), generate


popcount = intrinsic(_popcount)  # number of ones in a 64-bit word: one machine instruction
