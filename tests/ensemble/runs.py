"""Whole ensembles as a user starts them: `python launch/run_ensemble.py tests/ensemble/tiny.yaml`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.ensemble.supervised import lives

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "ensemble" / "tiny.yaml"


class Run:
    """A run in a process of its own; whatever is left of it is ended at the end of the `with` block."""

    def __init__(self, folder: Path, *overrides: str, file: Path = TINY) -> None:
        self.folder = folder
        self.output = folder.with_suffix(".out")
        script = ROOT / "launch" / "run_ensemble.py"
        command = [sys.executable, str(script), str(file), *overrides, "--run-dir", str(folder)]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(command, cwd=folder.parent, stdout=out, stderr=subprocess.STDOUT)
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.nodes()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for process in self.left():
            process.kill()

    def nodes(self) -> dict[str, psutil.Process]:
        """Return the living processes of the run by name."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return {}
        self._seen |= {process.pid: process for process in found}
        return {name: process for process in found if (name := _name(process))}

    def left(self, after_s: float = 2.0) -> list[psutil.Process]:
        """Return the processes of the run that are still there after so many seconds."""
        _, alive = psutil.wait_procs(self._seen.values(), timeout=after_s)
        return [process for process in alive if lives(process)]

    def kill(self, node: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one node, without warning or with one."""
        self.nodes()[node].send_signal(how)

    def wait_until(self, holds: Callable[[], object], timeout_s: float = 90.0) -> None:
        """Return when `holds` does; fails with the run's output if it never does."""
        until = time.monotonic() + timeout_s
        while not holds():
            self.nodes()
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < until, self.text()
            time.sleep(0.02)

    def wait_for_update(self, update: int = 1) -> None:
        """Return when every agent has saved after this update."""
        self.wait_until(lambda: {a for a, u in self.saved() if u >= update} >= {"block_0", "block_1"})

    def exit_code(self, timeout_s: float = 90.0) -> int:
        """Wait for the end and return the exit code."""
        until = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < until:
            self.nodes()
            time.sleep(0.05)
        assert self.process.poll() is not None, self.text()
        return self.process.returncode

    def saved(self) -> dict[tuple[str, int], str]:
        """Return (agent, update) -> SHA-256 of the policy, of all saved agents."""
        found = {}
        for path in (self.folder / "models").glob("*.zip"):
            with zipfile.ZipFile(path) as archive:
                card = json.loads(archive.read("ensemble.json"))
            found[card["agent"], card["updates"]] = card["policy_sha256"]
        return found

    def log(self, node: str) -> str:
        """Return a node's log."""
        return (self.folder / "logs" / f"{node}.log").read_text()

    def text(self) -> str:
        """Return what the run printed, and the ends of its logs."""
        logs = sorted((self.folder / "logs").glob("*.log")) if (self.folder / "logs").exists() else []
        tails = [f"--- {path.name}\n{path.read_text()[-1500:]}" for path in logs]
        return "\n".join([self.output.read_text(), *tails])


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def interrupt(process: subprocess.Popen) -> None:
    """Send what Ctrl-C sends."""
    os.kill(process.pid, signal.SIGINT)
