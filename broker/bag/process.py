"""What recorder and player do as processes: read arguments, join the bus, run, end on a signal."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from broker import Node
from broker.errors import BrokerError


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

    Args:
        prog: how the node is called.
        doc: what it does.
    """
    parser = argparse.ArgumentParser(prog=prog, description=(doc or "").partition("\n")[0])
    parser.add_argument("--name", required=True, help="name of the node")
    parser.add_argument("--broker", required=True, help="address of the broker, e.g. tcp://host:5550")
    parser.add_argument("--config", type=Path, required=True, help="JSON file with its settings")
    options = parser.parse_args()
    return options.name, options.broker, json.loads(options.config.read_text("utf-8"))


def run_as_node(build: Callable[[Node, dict[str, Any]], Running], prog: str, doc: str | None) -> NoReturn:
    """Be a node: `--name NAME --broker ADDRESS --config FILE.json`.

    Args:
        build: makes it from its connection and its settings.
        prog: how it is called.
        doc: what it does.
    """
    try:
        sys.exit(serve(*arguments(prog, doc), build))
    except BrokerError as error:
        sys.exit(f"{type(error).__module__}.{type(error).__name__}: {error}")


def serve(
    name: str, address: str, values: dict[str, Any], build: Callable[[Node, dict[str, Any]], Running]
) -> int:
    """Run a node in this process until it ends, or SIGINT or SIGTERM comes; return its exit code."""
    with Node(name, address) as node:
        running = build(node, values)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: running.stop())
        return running.run()
