"""The microgrid family as the registry knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulator.link_config import LinkConfig
from simulator.microgrid.case_files import read_case
from simulator.microgrid.cases import DATA, read_system
from simulator.microgrid.grid import MicrogridGrid
from simulator.microgrid.options import Options, read_options
from simulator.microgrid.seats import cluster_members, dg_names
from simulator.partition import read_partition

DEFAULT_LINK = LinkConfig()  # the published environment shows its agents the present state


def agent_names(name: str, **options: Any) -> tuple[str, ...]:
    """Return the names of the agents, from the case files and the partition alone."""
    chosen = read_options(options)
    n_dg = len(read_case(_folder(name, chosen)).dg["dg"])
    if chosen.partition is None:
        return dg_names(n_dg)
    partition = read_partition(chosen.partition)
    cluster_members(partition, n_dg)
    return tuple(cluster.name for cluster in partition.clusters)


def make_grid(
    name: str, n_envs: int, seed: int, copies_per_scenario: int = 1, **options: Any
) -> MicrogridGrid:
    """Return a microgrid without a SCADA link.

    Args:
        name: "microgrid6" or "microgrid20".
        n_envs: E.
        seed: of the random loads.
        copies_per_scenario: neighbouring copies that have the same loads.
        options: see Options.

    Raises:
        OptionError: an unknown option, or one out of range.
        CaseError: the files of option `case` do not describe a microgrid.
        PartitionError: the partition does not fit.
    """
    chosen = read_options(options)
    partition = None if chosen.partition is None else read_partition(chosen.partition)
    system = read_system(_folder(name, chosen))
    return MicrogridGrid(name, system, chosen, n_envs, seed, partition, copies_per_scenario)


def _folder(name: str, options: Options) -> Path:
    return DATA / name if options.case is None else Path(options.case)
