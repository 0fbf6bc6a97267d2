"""Train the runs of a study, several side by side, each an ordinary `chorus launch`."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from launch import processes
from launch.program import Kind, Node
from launch.restart import NEVER
from launch.study.provenance import commit, machine
from launch.study.rows import RECORD, Row, write_json

Say = Callable[[str], None]

_TURN_S = 0.2
_TELL_S = 30.0
_GRACE_S = 15.0  # after Ctrl-C; a run ends its nodes within five seconds


@dataclass(frozen=True)
class Record:
    """How a run came about."""

    command: str
    commit: str
    machine: str
    wall_s: float  # from the start of the first process to the report, evaluation included
    side_by_side: int  # runs that shared the machine


@dataclass
class _Running:
    row: Row
    process: processes.Running
    log: Path
    commit: str  # of the code that it began with
    started: float
    told: float


def train(rows: Sequence[Row], launch_file: Path, jobs: int, say: Say) -> list[Row]:
    """Train runs from their beginning; what an interrupted one left is removed first.

    Args:
        rows: the runs.
        launch_file: of all of them.
        jobs: how many at a time.
        say: told when runs begin, how far they are, and how they ended.

    Returns:
        the runs that failed.

    Raises:
        KeyboardInterrupt: Ctrl-C, when all runs have ended.
    """
    waiting, running, failed = list(rows), list[_Running](), list[Row]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(waiting.pop(0), launch_file, say))
            time.sleep(_TURN_S)
            for one in list(running):
                code = one.process.exit_code()
                if code is None:
                    _tell(one, say)
                    continue
                running.remove(one)
                if code == 0:
                    _write_record(one, launch_file, jobs)
                    say(f"{one.row}: done after {time.monotonic() - one.started:.0f} s")
                else:
                    failed.append(one.row)
                    say(f"{one.row}: failed with exit code {code}, see {one.log}")
    finally:
        _end(running)
    return failed


def command(row: Row, launch_file: Path) -> str:
    """Return the command that a run is."""
    words = " ".join(f"'{word}'" if set(word) & set(' "{}[]*()') else word for word in row.words)
    return f"python launch/run_ensemble.py {launch_file} {words}"


def _start(row: Row, launch_file: Path, say: Say) -> _Running:
    if row.folder.exists():
        shutil.rmtree(row.folder)
    row.folder.parent.mkdir(parents=True, exist_ok=True)
    log = row.folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    arguments = (str(launch_file), *row.words, "--run-dir", str(row.folder))
    # As a node: it dies with this process, and Ctrl-C reaches it through `_end` only, once.
    node = Node(f"seed_{row.seed}", Kind.EXTRA, "launch.run_ensemble", arguments, NEVER)
    say(f"{row}: training, log in {log}")
    now = time.monotonic()
    return _Running(row, processes.start(node, log), log, commit(), now, now)


def _tell(one: _Running, say: Say) -> None:
    if time.monotonic() - one.told > _TELL_S:
        one.told = time.monotonic()
        lines = one.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        say(f"{one.row}: {lines[-1].strip()[:100]}" if lines else f"{one.row}: starting")


def _write_record(one: _Running, launch_file: Path, jobs: int) -> None:
    wall_s = round(time.monotonic() - one.started, 1)
    record = Record(command(one.row, launch_file), one.commit, machine(), wall_s, jobs)
    write_json(one.row.folder / RECORD, asdict(record))


def read_record(row: Row) -> Record:
    """Return how a finished run came about."""
    return Record(**json.loads((row.folder / RECORD).read_text(encoding="utf-8")))


def _end(running: Sequence[_Running]) -> None:
    """End runs in order: each ends its own nodes."""
    for one in running:
        processes.send(one.process, signal.SIGINT)
    until = time.monotonic() + _GRACE_S
    while time.monotonic() < until and any(one.process.exit_code() is None for one in running):
        time.sleep(_TURN_S)
    for one in running:
        processes.send(one.process, signal.SIGKILL)
