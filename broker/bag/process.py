"""What recorder and player do as processes: read arguments, join the bus, run, end on a signal.

Unlike other nodes they are not just stopped by a signal: a recorder first writes what is under way.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from broker import Node
from broker.errors import BrokerError, SettingsFileError
from broker.process import node_parser, read_settings, report


class Running(Protocol):
    """A recorder or player."""

    def run(self) -> int:
        """Do the work; return the exit code."""
        ...

    def stop(self) -> None:
        """End soon; callable from signal handlers."""
        ...


def arguments(prog: str, doc: str | None) -> tuple[str, str, dict[str, Any]]:
    """Return name, address of the broker and settings from the command line.

    What is wrong with them ends the process, with a line that says it.

    Args:
        prog: how the node is called.
        doc: what it does.
    """
    parser = node_parser(prog, (doc or "").partition("\n")[0])
    options = parser.parse_args()
    if options.config is None:
        parser.error("--config is missing: a recorder or player is nothing without its settings")
    try:
        return options.name, options.broker, read_settings(options.config)
    except SettingsFileError as error:
        sys.exit(report(error))


def run_as_node(build: Callable[[Node, dict[str, Any]], Running], prog: str, doc: str | None) -> NoReturn:
    """Be a node: `--name NAME --broker ADDRESS --config FILE.json`.

    Args:
        build: makes it from its connection and its settings.
        prog: how it is called.
        doc: what it does.
    """
    options = arguments(prog, doc)
    try:
        sys.exit(serve(*options, build))
    except BrokerError as error:
        sys.exit(report(error))


def serve(
    name: str, address: str, values: dict[str, Any], build: Callable[[Node, dict[str, Any]], Running]
) -> int:
    """Run a node in this process until it ends, or SIGINT or SIGTERM comes; return its exit code."""
    with Node(name, address) as node:
        running = build(node, values)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: running.stop())
        return running.run()
