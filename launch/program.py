"""What runs: a Program of Nodes, without a word on how (launch.processes, launch.threads)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from launch.restart import RestartPolicy


class Kind(IntEnum):
    """What a node is; the order is that of starting, and reversed that of stopping."""

    BROKER = 0
    RECORDER = 1
    EXTRA = 2
    SIMULATOR = 3  # or a bag in its place
    CRITIC = 4
    AGENT = 5  # or a bag in the place of all


@dataclass(frozen=True)
class Node:
    """One node of the ensemble."""

    name: str
    kind: Kind
    module: str  # runs as `python -m module arguments`
    arguments: tuple[str, ...]
    restart: RestartPolicy
    config: Mapping[str, Any] = field(default_factory=dict)  # goes to nodes/<name>.json in the run folder
    external: bool = False  # started by somebody else: only waited for
    forked: bool = False  # started from the preloaded fork server
    gated: bool = True  # reports its state on the bus, and the run waits until it is ready
    finite: bool = False  # ends by itself; the run is over when all of these are
    essential: bool = True  # the run fails if it dies for good; of others it only says so

    def command(self) -> str:
        """Return the shell command that starts the node by hand."""
        return " ".join(("python", "-m", self.module, *self.arguments))


@dataclass(frozen=True)
class Program:
    """All nodes of a run, in the order of starting."""

    name: str
    address: str  # of the broker
    nodes: tuple[Node, ...]
    n_steps: int  # ticks of a rollout
    total_ticks: int
    ready_timeout_s: float

    def node(self, name: str) -> Node:
        """Return the node of that name."""
        return next(node for node in self.nodes if node.name == name)
