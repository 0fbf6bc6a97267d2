"""Run nodes as processes: forked from a preloaded server where that pays, else fresh interpreters."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

import psutil

from launch import child, preload
from launch.program import Node

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class Running(Protocol):
    """A process that was started."""

    pid: int

    def exit_code(self) -> int | None:
        """Return the exit code, minus the signal's number if one ended it, or None while it runs."""
        ...


class FreshProcess:
    """A node in an interpreter of its own."""

    def __init__(self, node: Node, log: Path) -> None:
        command = [sys.executable, "-m", "launch.child", node.name, str(os.getpid()), str(log)]
        with log.open("ab") as output:  # for what is said before the child opens it by itself
            self._process = subprocess.Popen(
                [*command, node.module, *node.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()


class ForkedProcess:
    """A node forked from the fork server."""

    def __init__(self, node: Node, log: Path) -> None:
        arguments = (node.name, str(log), node.module, node.arguments)
        self._process = ForkServerProcess(target=child.become, args=arguments, name=node.name)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.exitcode


def age_s() -> float:
    """Return how long ago this process, the command, was started."""
    return max(0.0, time.time() - psutil.Process().create_time())


def set_environment(modules: tuple[str, ...]) -> None:
    """Set what every node inherits: one thread each, and what the fork server imports."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    os.environ[preload.SUPERVISOR] = str(os.getpid())
    os.environ[preload.MODULES] = ",".join(modules)


def start_fork_server() -> None:
    """Start the fork server's imports; returns at once. Call it from the main thread."""
    multiprocessing.set_forkserver_preload(["launch.preload"])
    # Until the server ignores Ctrl-C by itself, it is blocked there. The tracker first: starting it unblocks.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(node: Node, log: Path) -> Running:
    """Start a node; its output goes to the log file."""
    return ForkedProcess(node, log) if node.forked else FreshProcess(node, log)


def send(process: Running, number: signal.Signals) -> None:
    """Send a signal to a node, or SIGKILL to it and all processes it started; a dead one is left alone."""
    if process.exit_code() is not None:
        return
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
    if number is signal.SIGKILL:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
