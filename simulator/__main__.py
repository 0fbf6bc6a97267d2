"""Start a simulator: `python -m simulator --broker tcp://host:5550 --config simulator.json`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from broker.errors import BrokerError
from broker.process import joining, node_parser, read_settings, report
from simulator.errors import SimulatorError
from simulator.making import make_world
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = node_parser("python -m simulator", __doc__, name="simulator")
    parser.add_argument("--grid", help="name of the grid, e.g. frequency68 or grid2op:rte_case14_realistic")
    try:
        return _run(parser.parse_args(argv))
    except (SimulatorError, BrokerError) as error:
        return report(error)


def _run(arguments: argparse.Namespace) -> int:
    values = read_settings(arguments.config)
    if arguments.grid is not None:
        values["grid"] = arguments.grid
    settings = SimulatorSettings.from_dict(values)
    world = make_world(settings)
    try:
        with joining(arguments.name, arguments.broker) as node:
            return SimulatorNode(node, world, settings).run()
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
