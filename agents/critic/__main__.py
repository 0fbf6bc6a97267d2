"""Start the critic: `python -m agents.critic --broker tcp://host:5550 --config critic.json`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agents.critic.node import CriticNode
from agents.critic.settings import CriticNodeSettings
from agents.errors import AgentsError
from broker.errors import BrokerError
from broker.process import joining, node_parser, read_settings, report


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    arguments = node_parser("python -m agents.critic", __doc__, name="critic").parse_args(argv)
    try:
        settings = CriticNodeSettings.from_mapping(read_settings(arguments.config))
        with joining(arguments.name, arguments.broker) as node:
            return CriticNode(node, settings).run()
    except (AgentsError, BrokerError, OSError) as error:  # an OSError: a disk is full, or takes nothing
        return report(error)


if __name__ == "__main__":
    sys.exit(main())
