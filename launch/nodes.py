"""The seam between the launcher and the packages: how each kind of node is started.

Every node takes `--name NAME --broker ADDRESS --config FILE.json`, reports itself on
`/nodes/<name>/status`, ends orderly on SIGINT and SIGTERM, and exits with 0 at a regular end.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from launch.errors import NodeFailedError
from launch.program import Kind, Node

if TYPE_CHECKING:
    from broker import Node as BusNode

MODULES = {
    Kind.BROKER: "broker",
    Kind.RECORDER: "broker.bag.recorder",
    Kind.SIMULATOR: "simulator",
    Kind.CRITIC: "agents.critic",
    Kind.AGENT: "agents",
}

# What agents and critic import at any rate; the fork server imports it for all of them. The first
# optimizer of a process imports torch._dynamo, the first copy of a network torch._refs: 1.6 s and 77 MB.
PRELOADED = (
    "torch",
    "torch._dynamo",
    "torch._refs",
    "broker",
    "agents.node",
    "agents.learner",
    "agents.critic.node",
)

SIMULATOR = "simulator"
CRITIC = "critic"
BROKER = "broker"
SUPERVISOR = "supervisor"
RECORDER = "recorder"
PLAYER = "player"
RESERVED = (BROKER, SIMULATOR, CRITIC, SUPERVISOR, RECORDER, PLAYER, "evaluator")


def broker_arguments(address: str) -> tuple[str, ...]:
    """Return the arguments of the broker."""
    return ("--address", address)


def node_arguments(name: str, address: str, settings: Path) -> tuple[str, ...]:
    """Return the arguments of every other node."""
    return ("--name", name, "--broker", address, "--config", str(settings))


def import_here(nodes: Iterable[Node]) -> None:
    """Import what nodes need, one after the other, before they run as threads.

    Of threads that import modules which need each other, Python lets one go on with a module that is half
    made, rather than have them wait for each other for ever.
    """
    for node in nodes:
        for module in _needed(node):
            with suppress(Exception):  # the node says so itself when it runs
                import_module(module)


def _needed(node: Node) -> tuple[str, ...]:
    match node.kind:
        case Kind.RECORDER:
            return ("broker.bag.recorder",)
        case Kind.SIMULATOR:
            from simulator.registry import FAMILIES

            family = str(node.config.get("grid", "")).partition(":")[0]
            return ("simulator.making", "simulator.node", FAMILIES.get(family, "simulator"))
        case Kind.CRITIC:
            return PRELOADED
        case Kind.AGENT if node.config.get("baseline"):
            return ("agents.node",)
        case Kind.AGENT:
            return (*PRELOADED, "agents.saved_policy")
    return ()


def run_here(node: Node, bus: BusNode) -> int:
    """Run a node in this thread, on its own connection to the bus; returns its exit code.

    Raises:
        NodeFailedError: nodes of this kind run as processes only.
    """
    kind = node.kind if MODULES.get(node.kind) == node.module else None
    match kind:
        case Kind.RECORDER:
            from broker.bag.recorder import RecorderNode
            from broker.bag.settings import RecorderSettings

            return RecorderNode(bus, RecorderSettings.from_dict(node.config)).run()
        case Kind.SIMULATOR:
            return _run_simulator(node, bus)
        case Kind.CRITIC:
            from agents.critic.node import CriticNode
            from agents.critic.settings import CriticNodeSettings

            return CriticNode(bus, CriticNodeSettings.from_mapping(node.config)).run()
        case Kind.AGENT:
            from agents.node import AgentNode
            from agents.settings import AgentSettings

            return AgentNode(bus, AgentSettings.from_dict(node.config)).run()
    msg = f"{node.name}: cannot run as a thread; it is started by its module, {node.module}"
    raise NodeFailedError(msg)


def _run_simulator(node: Node, bus: BusNode) -> int:
    from simulator.making import make_world
    from simulator.node import SimulatorNode
    from simulator.settings import SimulatorSettings

    wanted = SimulatorSettings.from_dict(node.config)
    world = make_world(wanted)
    try:
        return SimulatorNode(bus, world, wanted).run()
    finally:
        world.close()
