"""Make a grid by its name."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from simulator.errors import OptionError
from simulator.grid import Grid
from simulator.link_config import LinkConfig
from simulator.registry import family
from simulator.settings import SimulatorSettings
from simulator.world import World

if TYPE_CHECKING:
    from simulator.parallel import GridParallelEnv


def make(
    name: str,
    n_envs: int = 1,
    seed: int = 0,
    scada: LinkConfig | Mapping[str, Any] | None = None,
    smoothing: float = 0.0,
    copies_per_scenario: int = 1,
    **options: Any,
) -> World:
    """Make E copies of a grid behind a SCADA link.

    Args:
        name: "frequency68", "microgrid6", "microgrid20", "synthetic" or "grid2op:<environment>".
        n_envs: E, the number of independent copies, at least 1.
        seed: of everything random, a whole number, at least 0; the first `reset()` uses it.
        scada: settings of the SCADA link (see LinkConfig.from_dict); None takes the grid's usual link.
        smoothing: ρ in [0, 1) of the action smoothing a ← ρ a_prev + (1 − ρ) a.
        copies_per_scenario: so many neighbouring copies meet the same loads, weather, faults and days, in
            every episode, and differ only in what is done (common random numbers). E is a multiple of it.
        options: of the grid; docs/ has a page per grid.

    Raises:
        UnknownGridError: no such grid.
        OptionError: an unknown option, or a value (also of these arguments) of the wrong type or range.
    """
    if not _is_share(smoothing):
        msg = f"grid '{name}': smoothing is {smoothing!r}, expected a number in [0, 1)"
        raise OptionError(msg)
    if scada is None:
        link = family(name).DEFAULT_LINK
    else:
        link = scada if isinstance(scada, LinkConfig) else LinkConfig.from_dict(scada)
    grid = make_grid(name, n_envs, seed, copies_per_scenario, **options)
    return World(grid, link, smoothing, seed, copies_per_scenario)


def make_grid(name: str, n_envs: int, seed: int, copies_per_scenario: int = 1, **options: Any) -> Grid:
    """Make E copies of a grid without a link. Raises like `make`."""
    kind = family(name)
    if not _is_seed(seed):
        msg = f"grid '{name}': seed is {seed!r}, expected a whole number, at least 0"
        raise OptionError(msg)
    if not _is_count(n_envs):
        msg = f"grid '{name}': n_envs is {n_envs!r}, expected a whole number, at least 1 copy"
        raise OptionError(msg)
    if not _is_count(copies_per_scenario) or n_envs % copies_per_scenario:
        msg = (
            f"grid '{name}': copies_per_scenario is {copies_per_scenario!r}, expected a divisor of "
            f"n_envs = {n_envs}"
        )
        raise OptionError(msg)
    return kind.make_grid(name, n_envs, seed, copies_per_scenario, **options)


def _is_share(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and 0 <= float(value) < 1


def _is_seed(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def make_world(settings: SimulatorSettings) -> World:
    """Make the grid that a simulator node runs. Raises like `make`."""
    return make(
        settings.grid,
        settings.n_envs,
        settings.seed,
        settings.scada,
        settings.smoothing,
        settings.copies_per_scenario,
        **settings.options,
    )


def agent_names(name: str, **options: Any) -> tuple[str, ...]:
    """Return the names of a grid's agents without building the grid. Raises like `make`."""
    return family(name).agent_names(name, **options)


def parallel_env(name: str, **options: Any) -> GridParallelEnv:
    """Return one copy of a grid as a PettingZoo ParallelEnv; arguments as for `make`."""
    from simulator.parallel import GridParallelEnv

    return GridParallelEnv(make(name, n_envs=1, **options))
