"""The registry's view of the synthetic family: `synthetic`, one agent per block."""

from __future__ import annotations

from typing import Any

from simulator.link_config import LinkConfig
from simulator.synthetic.grid import SyntheticGrid
from simulator.synthetic.observe import agent_names as names_of_blocks
from simulator.synthetic.options import Options

DEFAULT_LINK = LinkConfig()


def agent_names(name: str, **options: Any) -> tuple[str, ...]:  # noqa: ARG001
    """Return one name per block. Raises OptionError."""
    return names_of_blocks(Options.checked(options).system().n_blocks)


def make_grid(
    name: str,  # noqa: ARG001
    n_envs: int,
    seed: int,
    copies_per_scenario: int = 1,
    **options: Any,
) -> SyntheticGrid:
    """Return E copies of a factored Markov decision process. Raises OptionError."""
    return SyntheticGrid(Options.checked(options), n_envs, seed, copies_per_scenario)
