"""Start one agent: `python -m agents --name west --broker tcp://host:5550 --config west.json`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from agents.errors import AgentsError
from agents.node import AgentNode
from agents.settings import AgentSettings, Baseline
from broker import Node
from broker.errors import BrokerError


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agents", description=__doc__)
    parser.add_argument("--name", required=True, help="the agent's name in the grid")
    parser.add_argument("--broker", required=True, help="address of the broker, e.g. tcp://host:5550")
    parser.add_argument("--config", type=Path, help="JSON file with settings; see docs/launch.md")
    parser.add_argument("--baseline", choices=get_args(Baseline), help="act by a rule")
    parser.add_argument("--load", help="act by a saved policy: the path of an SB3 zip")
    arguments = parser.parse_args(argv)
    try:
        settings = _settings(arguments)
        with Node(arguments.name, arguments.broker) as node:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: node.stop())
            return AgentNode(node, settings).run()
    except (AgentsError, BrokerError) as error:
        print(f"{type(error).__module__}.{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _settings(arguments: argparse.Namespace) -> AgentSettings:
    values = {} if arguments.config is None else json.loads(arguments.config.read_text(encoding="utf-8"))
    if arguments.baseline is not None:
        values["baseline"] = arguments.baseline
    if arguments.load is not None:
        values |= {"load": arguments.load, "mode": "act"}
    return AgentSettings.from_dict(values)


if __name__ == "__main__":
    sys.exit(main())
