"""The folder that a run leaves behind: runs/<name>-<time>/.

`config.yaml` is the launch file as it was in force, `broker.address` says where its broker listens,
`duration.json` how long its processes ran,
`nodes/` holds the settings of every node as the node read them, `logs/` a file per node, `models/`,
`tb/` and `timing/` what the nodes save.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml

from launch.errors import LaunchError
from launch.program import Node

BROKER_ADDRESS = "broker.address"  # the file that tells `chorus topic` and others where the bus is
DURATION = "duration.json"


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def models(self) -> Path:
        """Return the folder of the saved policies."""
        return self.path / "models"

    @property
    def tensorboard(self) -> Path:
        """Return the folder of TensorBoard's event files."""
        return self.path / "tb"

    @property
    def bag(self) -> Path:
        """Return the folder of what was recorded."""
        return self.path / "bag"

    def log(self, name: str) -> Path:
        """Return the log file of a node."""
        return self.path / "logs" / f"{name}.log"

    def settings(self, name: str) -> Path:
        """Return the settings file of a node."""
        return self.path / "nodes" / f"{name}.json"

    def create(self) -> None:
        """Make the folder with its parts.

        Raises:
            LaunchError: the folder exists already or cannot be made.
        """
        self.claim()
        self.make_parts()

    def claim(self) -> None:
        """Make the folder, still empty, so that nobody else takes it. Raises as `create`."""
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise self._cannot(error) from error

    def make_parts(self) -> None:
        """Make what is in the folder of a run. Raises LaunchError if that cannot be."""
        try:
            for part in ("logs", "nodes", "models", "tb"):
                (self.path / part).mkdir()
        except OSError as error:
            raise self._cannot(error) from error

    def remove_if_empty(self) -> None:
        """Give the folder up if no run has begun in it."""
        with suppress(OSError):
            self.path.rmdir()

    def _cannot(self, error: OSError) -> LaunchError:
        msg = f"run folder {self.path}: cannot be made ({error.strerror}); choose another with --run-dir"
        return LaunchError(msg)

    def write_config(self, config: Mapping[str, Any], source: str) -> None:
        """Write the resolved launch file, so that the run can be repeated from it alone."""
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        header = f"# resolved from: {source}\n"
        (self.path / "config.yaml").write_text(header + text, encoding="utf-8")

    def write_address(self, address: str) -> None:
        """Write where the broker of this run listens."""
        (self.path / BROKER_ADDRESS).write_text(f"{address}\n", encoding="utf-8")

    def write_duration(self, seconds: float) -> None:
        """Write how long the ensemble took, from the start of its first process to the end of its last."""
        (self.path / DURATION).write_text(json.dumps({"seconds": round(seconds, 1)}) + "\n", encoding="utf-8")

    def write_settings(self, node: Node) -> None:
        """Write a node's settings where the node is told to read them."""
        self.settings(node.name).write_text(json.dumps(node.config, indent=2) + "\n", encoding="utf-8")


def new_run_folder(runs: Path, name: str) -> RunFolder:
    """Return a folder below `runs` with the run's name and the time, not made yet."""
    return next(folder for folder in _names(runs, name) if not folder.path.exists())


def claim_run_folder(runs: Path, name: str) -> RunFolder:
    """Make a folder below `runs` with the run's name and the time; each of several launches has its own.

    Raises:
        LaunchError: the folder cannot be made.
    """
    names = _names(runs, name)
    while True:
        folder = next(names)
        try:
            folder.claim()
        except LaunchError:
            if not folder.path.exists():
                raise
        else:
            return folder


def _names(runs: Path, name: str) -> Iterator[RunFolder]:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for suffix in chain([""], (f"-{number}" for number in count(2))):
        yield RunFolder((runs / f"{name}-{stamp}{suffix}").absolute())


def point_latest(folder: RunFolder) -> None:
    """Make `latest`, next to the folder, a link to it; a real file of that name stays."""
    link = folder.path.with_name("latest")
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(f".latest-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.path.name)
    fresh.replace(link)  # in one step: somebody may be looking
