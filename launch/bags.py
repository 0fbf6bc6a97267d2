"""The nodes that a launch file's `record` and `player` bring in."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from launch import nodes
from launch.program import Kind, Node
from launch.restart import NEVER
from launch.run_folder import RunFolder
from launch.spec import LaunchSpec, PlayerSpec

PLAYER_MODULE = "broker.bag.player"
FORK_MODULE = "launch.fork"
REPORT = "comparison.json"


def recorder(spec: LaunchSpec, folder: RunFolder, address: str) -> Node:
    """Return the recorder; the run goes on if it dies, and says so."""
    wanted = spec.recorder
    written = spec.model_dump(mode="json", exclude_defaults=True)
    config = {
        **wanted.model_dump(exclude={"restart"}),
        "folder": str(folder.bag),
        "name": spec.name,
        "metadata": {"run": {"name": spec.name, "launch_file": json.dumps(written)}},
    }
    return Node(
        name=nodes.RECORDER,
        kind=Kind.RECORDER,
        module=nodes.MODULES[Kind.RECORDER],
        arguments=nodes.node_arguments(nodes.RECORDER, address, folder.settings(nodes.RECORDER)),
        restart=wanted.restart.policy(),
        config=config,
        essential=False,
    )


def with_player(
    parts: list[Node], spec: LaunchSpec, player: PlayerSpec, folder: RunFolder, address: str
) -> list[Node]:
    """Return the nodes of a run with a bag in the place that its role says."""
    match player.role:
        case "to_agents":
            others = [n for n in parts if n.kind in (Kind.CRITIC, Kind.AGENT)]
            config = _config(spec, player, folder, wait_for=[node.name for node in others])
            bag = _node(nodes.SIMULATOR, Kind.SIMULATOR, config, folder, address)
            lasting = {node.name for node in others}
            return [
                bag if n.kind == Kind.SIMULATOR else replace(n, finite=False) if n.name in lasting else n
                for n in parts
            ]
        case "of_agents":
            kept = [_waiting(n) for n in parts if n.kind not in (Kind.CRITIC, Kind.AGENT)]
            config = _config(spec, player, folder, wait_for=[])
            return [*kept, _node(nodes.PLAYER, Kind.AGENT, config, folder, address)]
        case "fork":
            return [_forked(n, player) if n.kind == Kind.SIMULATOR else n for n in parts]


def _config(
    spec: LaunchSpec, player: PlayerSpec, folder: RunFolder, wait_for: list[str]
) -> dict[str, object]:
    return {
        "bag": str(Path(player.bag).absolute()),
        "role": player.role,
        "rate": None if math.isinf(player.rate) else player.rate,
        "max_ticks": player.max_ticks,
        "deadline_s": spec.simulator.deadline_s,
        "wait_for": [nodes.RECORDER, *wait_for] if spec.record else wait_for,
        "report": str(folder.path / REPORT),
    }


def _node(name: str, kind: Kind, config: dict[str, object], folder: RunFolder, address: str) -> Node:
    return Node(
        name=name,
        kind=kind,
        module=PLAYER_MODULE,
        arguments=nodes.node_arguments(name, address, folder.settings(name)),
        restart=NEVER,
        config=config,
        finite=True,
    )


def _waiting(node: Node) -> Node:
    """Let the simulator wait for the player, so that no state is missed."""
    if node.kind != Kind.SIMULATOR:
        return node
    return replace(node, config={**node.config, "wait_for": [*node.config["wait_for"], nodes.PLAYER]})


def _forked(simulator: Node, player: PlayerSpec) -> Node:
    """Return the simulator that repeats a recorded run up to a tick."""
    fork = {
        "bag": str(Path(player.bag).absolute()),
        "at": player.fork_at,
        "scada": player.scada.settings() if player.scada else None,
        "lost": list(player.lost),
    }
    config = {**simulator.config, "fork": fork, "max_ticks": player.max_ticks}
    return replace(simulator, module=FORK_MODULE, config=config, restart=NEVER)
