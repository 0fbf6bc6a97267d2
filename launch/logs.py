"""Follow the nodes' log files: warnings and errors go to the console, with the node's name in front."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Level(IntEnum):
    """How bad a log line is."""

    INFO = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True)
class LogLine:
    """One line of one node."""

    node: str
    level: Level
    text: str


_STAMPED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$")
_LEVELS = {"WARNING": Level.WARNING, "ERROR": Level.ERROR, "CRITICAL": Level.ERROR}
_WARNS = re.compile(r"\b\w*Warning: ")
_FAILS = re.compile(r"^(Traceback \(most recent call last\)|Fatal Python error)|^\w[\w.]*(Error|Exception)\b")


class LogFollower:
    """Reads what one node has added to its log file."""

    def __init__(self, node: str, path: Path) -> None:
        self._node = node
        self._path = path
        self._offset = 0
        self._level = Level.INFO

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the complete lines that were added since the last call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                data = log.read()
        except FileNotFoundError:
            return
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.decode("utf-8", "replace").splitlines():
            if line.strip():
                yield self._classify(line)

    def _classify(self, line: str) -> LogLine:
        """Take the level from the line; a line without one belongs to the line before it."""
        stamped = _STAMPED.match(line)
        if stamped:
            self._level = _LEVELS.get(stamped[1], Level.INFO)
            return LogLine(self._node, self._level, f"{stamped[1]} {stamped[2]}")
        if _FAILS.search(line):
            self._level = Level.ERROR
        elif _WARNS.search(line):
            self._level = Level.WARNING
        return LogLine(self._node, self._level, line)


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log file, indented; says so if there are none."""
    try:
        text = path.read_bytes()[-65536:].decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    last = text.splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) if last else "    (the log is empty)"
