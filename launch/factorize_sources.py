"""Where samples come from: a synthetic process, a grid2op environment, or a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from factorization.errors import SettingError
from factorization.partition import Partition, clusters_of
from factorization.recordings import read_recording
from factorization.reference import at_random, by_distance, electrical_distance, nearest, published_case14
from factorization.samples import Samples, Variable
from simulator.synthetic import cases
from simulator.synthetic import sampling as synthetic
from simulator.synthetic.types import System
from simulator.transmission import sampling as transmission
from simulator.transmission.sampling import GridMap

Progress = Callable[[int, int], None]
GRID2OP = "grid2op:"


@dataclass(frozen=True)
class Source:
    """Samples, and what is known about the grid besides them."""

    samples: Samples
    extra: Mapping[Variable, Variable] = field(default_factory=dict)  # variable -> whose cluster it joins
    map: GridMap | None = None


def read_source(
    env: str, n_samples: int, seed: int, workers: int, test: bool, labels: tuple[str, ...], progress: Progress
) -> Source:
    """Collect or read samples.

    Args:
        env: "synthetic", "grid2op:<environment>", or the path of a recording.
        n_samples: how many.
        seed: of everything random.
        workers: processes for grid2op.
        test: use the data bundled with grid2op.
        labels: columns of a recording that are labels.
        progress: called with (done, in all).
    """
    if env == "synthetic":
        return Source(synthetic_samples(cases.published(), n_samples, seed))
    if env.startswith(GRID2OP):
        name = env.removeprefix(GRID2OP)
        grid = transmission.grid_map(name, test)
        taken = transmission.collect(name, n_samples, seed, test, workers, progress)
        return Source(topology_samples(env, taken), nearest_controllable(grid), grid)
    return Source(read_recording(Path(env), labels=labels))


def synthetic_samples(system: System, n_samples: int, seed: int, environment: str = "synthetic") -> Samples:
    """Return samples of a factored process."""
    before, after = synthetic.collect(system, n_samples, seed)
    states = tuple(Variable("state", i) for i in range(system.n_state))
    actions = tuple(Variable("action", i) for i in range(system.n_action))
    return Samples(environment, states + actions, states, before, after)


def topology_samples(env: str, taken: transmission.TopologySamples) -> Samples:
    """Return the samples of a transmission grid: substations' actions, and lines' loading after them."""
    substations = tuple(Variable("substation", int(s)) for s in taken.controllable)
    lines = tuple(Variable("line", i) for i in range(taken.rho.shape[1]))
    action, rho = taken.action.astype(np.float64), taken.rho.astype(np.float64)
    return Samples(env, substations, lines, action, rho, frozenset(substations))


def nearest_controllable(grid: GridMap) -> dict[Variable, Variable]:
    """Return whose cluster everything joins that has no topology actions of its own.

    A substation joins the electrically nearest one with topology actions (which is itself, if it has some);
    generators, loads and storage units go with their substation.
    """
    distance = electrical_distance(grid.n_substations, grid.line_ends, grid.reactance)
    home = [
        Variable("substation", nearest(distance, node, grid.controllable))
        for node in range(grid.n_substations)
    ]
    joined = {Variable("substation", node): near for node, near in enumerate(home)}
    for kind in ("generator", "load", "storage"):
        places: list[int] = getattr(grid, f"{kind}_substation").tolist()
        joined |= {Variable(kind, i): home[node] for i, node in enumerate(places)}
    return {variable: near for variable, near in joined.items() if variable != near}


def partition_without_samples(env: str, method: str, n_clusters: int, seed: int, test: bool) -> Partition:
    """Return a partition of a grid2op grid to compare with: "distance", "random" or "published".

    Substations with topology actions are divided, so that every cluster has something to do; the others
    join the electrically nearest of them. A line goes with the substation where it begins.

    Raises:
        SettingError: not a grid2op environment, an impossible number of clusters, or no published partition.
    """
    if not env.startswith(GRID2OP):
        msg = f"method '{method}' needs the map of a grid: expected grid2op:<environment>, got '{env}'"
        raise SettingError(msg)
    if method == "published":
        if "case14" not in env:
            msg = (
                f"method 'published': there is a published partition of 14-substation grids only, got '{env}'"
            )
            raise SettingError(msg)
        about = {"source": "State and Action Factorization in Power Grids, arXiv 2409.04467"}
        return Partition(env, clusters_of(published_case14()), {"name": method}, about)
    grid = transmission.grid_map(env.removeprefix(GRID2OP), test)
    wanted = n_clusters or 2
    distance = electrical_distance(grid.n_substations, grid.line_ends, grid.reactance)
    if method == "distance":
        numbers = by_distance(distance[np.ix_(grid.controllable, grid.controllable)], wanted)
    else:
        numbers = at_random(len(grid.controllable), wanted, seed)
    groups = {Variable("substation", int(s)): int(n) for s, n in zip(grid.controllable, numbers, strict=True)}
    groups |= {extra: groups[near] for extra, near in nearest_controllable(grid).items()}
    groups |= {
        Variable("line", i): groups[Variable("substation", int(a))] for i, (a, _) in enumerate(grid.line_ends)
    }
    return Partition(env, clusters_of(groups), {"name": method, "n_clusters": wanted, "seed": seed})
