"""What the main functions of all nodes share: arguments, settings file, signals, errors."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from broker.errors import SettingsFileError
from broker.node import Node


def node_parser(prog: str, doc: str | None, name: str | None = None) -> argparse.ArgumentParser:
    """Return a parser of `--name`, `--broker` and `--config`.

    Args:
        prog: how the program is called.
        doc: its help.
        name: default name of the node; None: it must be given.
    """
    parser = argparse.ArgumentParser(prog=prog, description=doc)
    parser.add_argument("--name", required=name is None, default=name, help="name of the node")
    parser.add_argument("--broker", required=True, help="address of the broker, e.g. tcp://host:5550")
    parser.add_argument("--config", type=Path, help="JSON file with settings; see docs/launch.md")
    return parser


def read_settings(path: Path | None) -> dict[str, Any]:
    """Return the object in a settings file; nothing where there is no file.

    Raises:
        SettingsFileError: the file cannot be read, or is not a JSON object.
    """
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"settings file {path}: cannot be read ({error}); give a JSON file, as in a run's nodes/ folder"
        raise SettingsFileError(msg) from error
    if not isinstance(values, dict):
        msg = f"settings file {path}: is a {type(values).__name__}, expected a JSON object of settings"
        raise SettingsFileError(msg)
    return values


@contextmanager
def joining(name: str, address: str) -> Iterator[Node]:
    """Yield a node that SIGINT and SIGTERM stop; it leaves the bus at the end."""
    with Node(name, address) as node:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: node.stop())
        yield node


def report(error: Exception) -> int:
    """Print an error as the last line of a node's log; return the exit code."""
    sys.stderr.write(f"{type(error).__module__}.{type(error).__name__}: {error}\n")
    return 1
