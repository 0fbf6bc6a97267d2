"""The family `frequency68`: names of its agents, its usual SCADA link, its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulator.frequency import case68, observe
from simulator.frequency.case_files import DATA
from simulator.frequency.grid import FrequencyGrid
from simulator.frequency.grouping import groups
from simulator.frequency.options import Options
from simulator.link_config import fixed_delay

DEFAULT_LINK = fixed_delay(2)  # SCADA delay of the published environment, in ticks of 2 s


def agent_names(name: str, **options: Any) -> tuple[str, ...]:  # noqa: ARG001
    """Return the names of the agents: units like `battery_33`, or the clusters of a partition.

    Raises:
        OptionError, CaseError, PartitionError: as for `make_grid`.
    """
    chosen = Options.from_dict(options)
    case = case68.load(Path(chosen.case) if chosen.case else DATA)
    observe.check_size(case)
    return tuple(groups(case68.fleet(case, base_mva=1.0).names, chosen.partition)[0])


def make_grid(
    name: str,  # noqa: ARG001
    n_envs: int,
    seed: int,
    copies_per_scenario: int = 1,
    **options: Any,
) -> FrequencyGrid:
    """Make E copies of the grid, without a SCADA link.

    Args:
        name: "frequency68".
        n_envs: E, at least 1.
        seed: of everything random.
        copies_per_scenario: neighbouring copies that share their random streams.
        options: see Options; docs/frequency68.md explains them.

    Raises:
        OptionError: an unknown option, or one out of range.
        CaseError: the case folder does not describe a grid.
        PartitionError: the partition does not fit the units.
    """
    return FrequencyGrid(n_envs, seed, Options.from_dict(options), copies_per_scenario=copies_per_scenario)
