"""The agents of a transmission grid: one per cluster and kind, and the description that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulator.errors import ActionError
from simulator.frame import Bool, Float32, GridSpec
from simulator.partition import Partition
from simulator.transmission.catalogue import Catalogue, build_catalogues
from simulator.transmission.clusters import Clusters, neighbours
from simulator.transmission.continuous import Controls, build_controls
from simulator.transmission.masks import REASONS
from simulator.transmission.metrics import NAMES as METRIC_NAMES
from simulator.transmission.observe import BOUND, Features
from simulator.transmission.options import Options
from simulator.transmission.types import Layout, System


@dataclass(frozen=True)
class Agent:
    """One agent: its cluster and either a catalogue of topology actions or continuous controls."""

    name: str
    cluster: int
    catalogue: Catalogue | None
    controls: Controls | None

    @property
    def action_names(self) -> tuple[str, ...]:
        """Return the names of the choices or components of its action."""
        source = self.catalogue or self.controls
        assert source is not None
        return source.names

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Return the action space of one copy."""
        n = len(self.action_names)
        return spaces.Box(-1.0, 1.0, (n,), np.float32) if self.controls else spaces.Discrete(n)

    def changes(self, applied: NDArray[Any], rows: Float32, layout: Layout) -> Bool:
        """Return (E,): True where what is applied of its actions changes something.

        Args:
            applied: (E,) choices, or (E, d) controls.
            rows: (E, width) what holds before.
            layout: of the rows.
        """
        if self.controls is not None:
            differs: Bool = np.any(applied != self.controls.neutral(rows, layout), axis=1)
            return differs
        assert self.catalogue is not None
        return self.catalogue.changes(
            applied, layout.view(rows, "topo_vect"), layout.view(rows, "line_status")
        )

    def check(self, actions: NDArray[Any], n_envs: int) -> None:
        """Raise ActionError unless `actions` are (E,) choices, or (E, d) numbers in [-1, 1]."""
        n = len(self.action_names)
        shape: tuple[int, ...] = (n_envs,) if self.controls is None else (n_envs, n)
        if actions.shape != shape:
            msg = f"agent '{self.name}': actions have shape {actions.shape}, expected {shape}"
            raise ActionError(msg)
        if self.controls is None:
            ok = np.issubdtype(actions.dtype, np.integer) and np.all((actions >= 0) & (actions < n))
            expected = f"integers from 0 to {n - 1}"
        else:
            number = np.issubdtype(actions.dtype, np.floating) or np.issubdtype(actions.dtype, np.integer)
            ok = number and np.all(np.abs(actions) <= 1.0)  # False for NaN
            expected = "numbers in [-1, 1]"
        if not ok:
            msg = f"agent '{self.name}': actions {actions.tolist()} ({actions.dtype}), expected {expected}"
            raise ActionError(msg)


def names_of_agents(clusters: tuple[str, ...], options: Options) -> tuple[str, ...]:
    """Return the names of the agents: those of the clusters, with the kind where a cluster has both."""
    if options.actions != "both":
        return clusters
    return tuple(f"{cluster}_{kind}" for cluster in clusters for kind in options.agent_kinds)


def build_agents(env: Any, system: System, clusters: Clusters, options: Options) -> tuple[Agent, ...]:
    """Return all agents, cluster by cluster."""
    n = len(clusters.names)
    catalogues: tuple[Catalogue | None, ...] = (None,) * n
    controls: tuple[Controls | None, ...] = (None,) * n
    if "topology" in options.agent_kinds:
        catalogues = build_catalogues(env, system, clusters, options)
    if "continuous" in options.agent_kinds:
        controls = build_controls(system, clusters, options)
    parts = [
        (cluster, catalogues[cluster], None) if kind == "topology" else (cluster, None, controls[cluster])
        for cluster in range(n)
        for kind in options.agent_kinds
    ]
    names = names_of_agents(clusters.names, options)
    return tuple(Agent(name, *part) for name, part in zip(names, parts, strict=True))


def build_spec(
    n_envs: int, system: System, clusters: Clusters, partition: Partition, agents: tuple[Agent, ...],
    features: Features, options: Options,
) -> GridSpec:  # fmt: skip
    """Return the description of the grid."""
    near = neighbours(system, clusters)
    columns = {agent.name: features.columns(agent.cluster).tolist() for agent in agents}
    return GridSpec(
        name=f"grid2op:{system.name}",
        agents=tuple(agent.name for agent in agents),
        n_envs=n_envs,
        dt_s=system.dt_s,
        state_names=features.names,
        state_units=features.units,
        observation_names={name: tuple(features.names[i] for i in own) for name, own in columns.items()},
        observation_units={name: tuple(features.units[i] for i in own) for name, own in columns.items()},
        observation_spaces={
            name: spaces.Box(-BOUND, BOUND, (len(own),), np.float32) for name, own in columns.items()
        },
        action_spaces={agent.name: agent.action_space for agent in agents},
        action_names={agent.name: agent.action_names for agent in agents},
        metric_names=METRIC_NAMES,
        neighbours={
            agent.name: tuple(
                other.name
                for other in agents
                if other is not agent and other.cluster in (agent.cluster, *near[agent.cluster])
            )
            for agent in agents
        },
        reasons=REASONS,
        partition=partition.text,
        options=options.as_json(),
    )
