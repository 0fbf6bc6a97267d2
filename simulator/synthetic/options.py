"""The options of the synthetic grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal

from simulator.errors import OptionError
from simulator.synthetic import cases
from simulator.synthetic.types import System


@dataclass(frozen=True)
class Options:
    """What can be chosen about `synthetic`; all but the first and the last belong to case "random"."""

    case: Literal["published", "random"] = "published"
    blocks: tuple[tuple[int, int], ...] = ((3, 2), (3, 2), (3, 2))  # (state, action components) of each
    case_seed: int = 0  # which random process
    noise: float = 0.1  # of observations, in spreads of the values
    weak: float = 0.0  # probability of copying from another block
    overlap: int = 0  # number of state components that belong to two blocks
    max_steps: int = 100  # length of an episode

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> Options:
        """Return the options, or raise OptionError that names what is wrong."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            msg = f"grid 'synthetic': unknown options {unknown}, expected some of {known}"
            raise OptionError(msg)
        values = dict(options)
        if "blocks" in values:
            values["blocks"] = _pairs(values["blocks"])
        chosen = cls(**values)
        if chosen.case not in ("published", "random"):
            msg = f"grid 'synthetic': case is {chosen.case!r}, expected 'published' or 'random'"
            raise OptionError(msg)
        chosen._check_numbers()
        chosen.system()
        return chosen

    def system(self) -> System:
        """Return the process. Raises OptionError."""
        if self.case == "published":
            return cases.published()
        return cases.random(self.case_seed, self.blocks, self.noise, self.weak, self.overlap)

    def _check_numbers(self) -> None:
        for name, least in (("case_seed", 0), ("overlap", 0), ("max_steps", 1)):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                msg = f"grid 'synthetic': {name} is {number!r}, expected an integer >= {least}"
                raise OptionError(msg)
        for name, limit in (("noise", inf), ("weak", 1.0)):
            number = getattr(self, name)
            real = isinstance(number, int | float) and not isinstance(number, bool)
            if not real or not 0 <= number < limit:
                msg = f"grid 'synthetic': {name} is {number!r}, expected a number in [0, {limit:g})"
                raise OptionError(msg)


def _pairs(blocks: Any) -> tuple[tuple[int, int], ...]:
    ok = isinstance(blocks, Sequence) and all(
        isinstance(block, Sequence) and len(block) == 2 and all(isinstance(n, int) and n >= 1 for n in block)
        for block in blocks
    )
    if not ok or not blocks:
        msg = (
            f"grid 'synthetic': blocks is {blocks!r}, expected pairs (state components, action components), "
            "both at least 1: a block without actions has no agent"
        )
        raise OptionError(msg)
    return tuple((block[0], block[1]) for block in blocks)
