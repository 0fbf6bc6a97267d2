"""The family `grid2op:<environment>`: what the registry asks of it."""

from __future__ import annotations

from typing import Any

from simulator.link_config import LinkConfig
from simulator.oracle import OracleKind
from simulator.transmission.agents import names_of_agents
from simulator.transmission.clusters import choose_partition
from simulator.transmission.greedy import THRESHOLD, SimulateGreedy
from simulator.transmission.grid import TransmissionGrid
from simulator.transmission.held_out import held_out_options, may_have_met, n_scenarios
from simulator.transmission.options import read_options

__all__ = [
    "DEFAULT_LINK",
    "ORACLES",
    "agent_names",
    "held_out_options",
    "make_grid",
    "may_have_met",
    "n_scenarios",
]

DEFAULT_LINK = LinkConfig()  # grid2op's step of five minutes leaves time to measure and to command
ORACLES = {"simulate_greedy": OracleKind(SimulateGreedy, {"forecasts": True, "gate": THRESHOLD})}
DEFAULT_ENVIRONMENT = "rte_case14_realistic"


def agent_names(name: str, **options: Any) -> tuple[str, ...]:
    """Return the names of the agents, without making the environment."""
    settings = read_options(options)
    partition = choose_partition(_environment(name), settings.partition)
    clusters = tuple(cluster.name for cluster in partition.clusters) if partition else ("grid",)
    return names_of_agents(clusters, settings)


def make_grid(
    name: str, n_envs: int, seed: int, copies_per_scenario: int = 1, **options: Any
) -> TransmissionGrid:
    """Return E copies of a grid2op environment.

    Args:
        name: `grid2op:<environment>`, or `grid2op` for the default environment.
        n_envs: number of copies, at least 1.
        seed: of all random streams.
        copies_per_scenario: neighbouring copies that play the same days.
        options: see `simulator.transmission.options.Options`.

    Raises:
        UnknownGridError: there is no such environment.
        OptionError: an unknown option, or a value out of range.
        PartitionError: the partition cannot be read or does not fit.
    """
    settings = read_options(options)
    return TransmissionGrid(_environment(name), n_envs, seed, settings, copies_per_scenario)


def _environment(name: str) -> str:
    return name.partition(":")[2] or DEFAULT_ENVIRONMENT
