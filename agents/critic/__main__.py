"""Start the critic: `python -m agents.critic --broker tcp://host:5550 --config critic.json`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from agents.critic.node import CriticNode
from agents.critic.settings import CriticNodeSettings
from agents.errors import AgentsError
from broker import Node
from broker.errors import BrokerError


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agents.critic", description=__doc__)
    parser.add_argument("--name", default="critic", help="name of the node")
    parser.add_argument("--broker", required=True, help="address of the broker, e.g. tcp://host:5550")
    parser.add_argument("--config", type=Path, help="JSON file with settings; see docs/launch.md")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        values = {} if arguments.config is None else json.loads(arguments.config.read_text(encoding="utf-8"))
        settings = CriticNodeSettings.from_mapping(values)
        with Node(arguments.name, arguments.broker) as node:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: node.stop())
            return CriticNode(node, settings).run()
    except (AgentsError, BrokerError) as error:
        print(f"{type(error).__module__}.{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
