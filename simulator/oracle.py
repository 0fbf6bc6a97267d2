"""References that know more than agents may: they see a grid without delay, and may ask its model.

They are no agents and never on the bus. A family that has some says so in `ORACLES`, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.errors import NoOracleError
from simulator.frame import Actions
from simulator.link_config import LinkConfig
from simulator.making import make_grid
from simulator.registry import family
from simulator.world import World


class Oracle(Protocol):
    """Decides for all agents of a grid at once."""

    def act(self) -> Actions:
        """Return agent -> (E,) or (E, d): the actions for the grid's next step."""
        ...


@dataclass(frozen=True)
class OracleKind:
    """How an oracle of a family is made."""

    make: Callable[[Any], Oracle]  # from the family's bare grid
    options: Mapping[str, Any]  # of the grid that it needs, laid over what is asked for


def make_with_oracle(
    oracle: str, name: str, n_envs: int = 1, seed: int = 0, **options: Any
) -> tuple[World, Oracle]:
    """Make E copies of a grid behind a link without delay or loss, and the oracle that plays them.

    Args:
        oracle: its name, e.g. "simulate_greedy" for transmission grids.
        name: of the grid, as for `simulator.make`.
        n_envs: E, the number of independent copies, at least 1.
        seed: of everything random.
        options: of the grid; what the oracle needs, such as forecasts, replaces them.

    Raises:
        UnknownGridError: no such grid.
        NoOracleError: the grid has no such oracle.
        OptionError: an option is wrong.
    """
    kinds: Mapping[str, OracleKind] = getattr(family(name), "ORACLES", {})
    if oracle not in kinds:
        known = f"expected one of {list(kinds)}" if kinds else "nor any other; leave it out"
        msg = f"grid '{name}': has no oracle '{oracle}', {known}"
        raise NoOracleError(msg)
    kind = kinds[oracle]
    grid = make_grid(name, n_envs, seed, **{**options, **kind.options})
    return World(grid, LinkConfig(), seed=seed), kind.make(grid)
