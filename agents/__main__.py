"""Start one agent: `python -m agents --name west --broker tcp://host:5550 --config west.json`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from agents.errors import AgentsError
from agents.node import AgentNode
from agents.settings import AgentSettings, Baseline
from broker.errors import BrokerError
from broker.process import joining, node_parser, read_settings, report


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = node_parser("python -m agents", __doc__)
    parser.add_argument("--baseline", choices=get_args(Baseline), help="act by a rule")
    parser.add_argument("--load", help="act by a saved policy: a models folder, or the zip of one agent")
    arguments = parser.parse_args(argv)
    try:
        settings = _settings(arguments)
        with joining(arguments.name, arguments.broker) as node:
            return AgentNode(node, settings).run()
    except (AgentsError, BrokerError, OSError) as error:  # an OSError: a disk is full, or takes nothing
        return report(error)


def _settings(arguments: argparse.Namespace) -> AgentSettings:
    values = read_settings(arguments.config)
    if arguments.baseline is not None:
        values["baseline"] = arguments.baseline
    if arguments.load is not None:
        values |= {"load": arguments.load, "mode": "act"}
    return AgentSettings.from_dict(values)


if __name__ == "__main__":
    sys.exit(main())
