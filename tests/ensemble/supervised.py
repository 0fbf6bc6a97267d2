"""Run a program of tiny nodes under a real supervisor process, and watch it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def environment() -> dict[str, str]:
    """Return the environment in which the test's own nodes can be imported."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}


class Run:
    """A supervisor at work."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.code: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Return what was printed so far."""
        return self.folder.with_suffix(".out").read_text()

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def lives(self, name: str) -> int:
        """Return how often a node was started."""
        return self.log(name).count(f"{name} starts: ")

    def node(self, name: str) -> psutil.Process:
        """Return the process in which a node runs; its kernel name is the node's."""
        return next(p for p in self.everyone() if p.name() == name)

    def everyone(self) -> list[psutil.Process]:
        """Return all processes below the supervisor."""
        return psutil.Process(self.pid).children(recursive=True)

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    def finish(self, timeout_s: float = 30.0) -> str:
        """Wait for the end and return everything that was printed."""
        self.code = self.process.wait(timeout_s)
        return self.output

    def wait_until_ready(self) -> None:
        """Wait until the supervisor has heard from every node."""
        wait_until(lambda: "nodes ready" in self.output)


@contextmanager
def supervise(folder: Path, nodes: list[dict[str, Any]], **program: Any) -> Iterator[Run]:
    """Start a supervisor; whatever is left of it at the end is killed."""
    with folder.with_suffix(".out").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "tiny_run.py"), str(folder), json.dumps({"nodes": nodes, **program})],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            start_new_session=True,
        )
    run = Run(process, folder)
    left: list[psutil.Process] = []
    try:
        yield run
    finally:
        if process.poll() is None:
            left = run.everyone()
            process.kill()
        process.wait()
        for straggler in left:
            if straggler.is_running():
                straggler.kill()


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Look every 20 ms until the condition holds."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    """Return whether a process is still at work."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def assert_all_gone(processes: list[psutil.Process], within_s: float) -> None:
    """Fail unless all these processes have ended."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    alive = [process for process in alive if lives(process)]
    assert not alive, f"left over: {alive}"
