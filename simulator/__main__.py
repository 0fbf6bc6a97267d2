"""Start a simulator: `python -m simulator --broker tcp://host:5550 --config simulator.json`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from broker import Node
from broker.errors import BrokerError
from simulator import make
from simulator.errors import SimulatorError
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--name", default="simulator", help="name of the node")
    parser.add_argument("--broker", required=True, help="address of the broker, e.g. tcp://host:5550")
    parser.add_argument("--config", type=Path, help="JSON file with settings; see docs/launch.md")
    parser.add_argument("--grid", help="name of the grid, e.g. frequency68 or grid2op:rte_case14_realistic")
    arguments = parser.parse_args(argv)
    try:
        return _run(arguments)
    except (SimulatorError, BrokerError) as error:
        print(f"{type(error).__module__}.{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _run(arguments: argparse.Namespace) -> int:
    values = {} if arguments.config is None else json.loads(arguments.config.read_text(encoding="utf-8"))
    if arguments.grid is not None:
        values["grid"] = arguments.grid
    settings = SimulatorSettings.from_dict(values)
    world = make(
        settings.grid,
        n_envs=settings.n_envs,
        seed=settings.seed,
        scada=settings.scada,
        smoothing=settings.smoothing,
        **settings.options,
    )
    try:
        with Node(arguments.name, arguments.broker) as node:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: node.stop())
            return SimulatorNode(node, world, settings).run()
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
