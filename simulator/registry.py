"""From a grid's name to the family that makes it.

A name is `family`, or `family:argument` where the family has variants. Each family is a folder with a
module `family` that has

    DEFAULT_LINK: LinkConfig                                 the SCADA link its users expect
    agent_names(name, **options) -> tuple[str, ...]          without building the grid (cheap)
    make_grid(name, n_envs, seed, copies_per_scenario, **options) -> Grid
                                                             the bare physics, without a SCADA link

and may have ORACLES: name -> simulator.oracle.OracleKind, and the functions of simulator.held_out.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from simulator.errors import UnknownGridError
from simulator.grid import Grid
from simulator.link_config import LinkConfig

FAMILIES = {
    "frequency68": "simulator.frequency.family",
    "microgrid6": "simulator.microgrid.family",
    "microgrid20": "simulator.microgrid.family",
    "synthetic": "simulator.synthetic.family",
    "grid2op": "simulator.transmission.family",
}
WITH_VARIANTS = ("grid2op",)  # families whose names take an argument


class Family(Protocol):
    """What a family's module offers."""

    DEFAULT_LINK: LinkConfig

    def agent_names(self, name: str, **options: Any) -> tuple[str, ...]:
        """Return the names of the agents, without building the grid."""
        ...

    def make_grid(
        self, name: str, n_envs: int, seed: int, copies_per_scenario: int = 1, **options: Any
    ) -> Grid:
        """Return the bare grid."""
        ...


def family(name: str) -> Family:
    """Return the family module that answers to `name`.

    Raises:
        UnknownGridError: no family has this name, or it has no variants and the name asks for one.
    """
    head, colon, _ = name.partition(":")
    if head not in FAMILIES:
        known = ", ".join(sorted(FAMILIES)).replace("grid2op", "grid2op:<environment>")
        msg = f"grid '{name}': no such grid; known are {known}"
        raise UnknownGridError(msg)
    if colon and head not in WITH_VARIANTS:
        msg = f"grid '{name}': '{head}' has no variants; write '{head}', and use options to change it"
        raise UnknownGridError(msg)
    return cast(Family, import_module(FAMILIES[head]))
