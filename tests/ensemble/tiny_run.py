"""Supervise tiny nodes: `python tiny_run.py RUN_FOLDER PROGRAM`, the program as JSON.

The program is a list of {name, kind, settings, ...}, where the rest are fields of launch.program.Node.
A broker comes first by itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from launch import nodes, processes
from launch.display import make_display
from launch.errors import LaunchError
from launch.imports import put_first
from launch.program import Kind, Node, Program
from launch.restart import RestartPolicy
from launch.run_folder import RunFolder
from launch.supervisor import Supervisor


def main() -> int:
    folder = RunFolder(Path(sys.argv[1]).absolute())
    wanted = json.loads(sys.argv[2])
    address = wanted.get("address", f"ipc://{folder.path}.bus")
    parts = [broker(address, external=wanted.get("external_broker", False))]
    parts += [tiny(folder, address, dict(node)) for node in wanted["nodes"]]
    program = Program(
        "tiny", address, tuple(parts), 10, wanted.get("ticks", 100), wanted.get("timeout", 20.0)
    )
    put_first()
    processes.set_environment(tuple(wanted.get("preload", ["broker"])))
    processes.start_fork_server()
    folder.create()
    for node in program.nodes:
        folder.write_settings(node)
    with make_display() as display:
        try:
            return Supervisor(program, folder, display, verbose=wanted.get("verbose", False)).run()
        except LaunchError as error:
            sys.stderr.write(f"{error}\n")
            return error.exit_code


def broker(address: str, *, external: bool) -> Node:
    again = RestartPolicy(first_delay_s=0.1)
    return Node("broker", Kind.BROKER, "broker", nodes.broker_arguments(address), again, external=external)


def tiny(folder: RunFolder, address: str, node: dict[str, object]) -> Node:
    name, kind = str(node.pop("name")), Kind[str(node.pop("kind"))]
    settings = dict(node.pop("settings", {}))  # type: ignore[call-overload]
    restart = RestartPolicy(**dict(node.pop("restart", {"first_delay_s": 0.1})))  # type: ignore[call-overload]
    arguments = nodes.node_arguments(name, address, folder.settings(name))
    finite = kind == Kind.AGENT
    return Node(name, kind, "tiny_node", arguments, restart, settings, finite=finite, **node)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
