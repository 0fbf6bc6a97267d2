"""How commands end in a real terminal, and what a stopped onlooker does to a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from launch.imports import ROOT

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(ensemble: str) -> Iterator[Start]:
    """Start `chorus` as a process."""
    started: list[subprocess.Popen] = []

    def begin(*words: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "launch.cli", *words],
            cwd=ROOT,
            env={**os.environ, "CHORUS_BROKER": ensemble},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in a terminal
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "words",
    [("echo", "/clock"), ("hz", "/clock"), ("pub", "/test/x", "Clock", "{epoch: 1, tick: 1, time_s: 0}")],
)
def test_ctrl_c_ends_quietly_with_130(start, words):
    process = start("topic", *words)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (130, "")


def test_a_pipe_that_closes_ends_it_quietly(start):
    process = start("topic", "echo", "/clock")
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""


def test_a_stopped_onlooker_does_not_stop_the_ensemble(start, run):
    process = start("topic", "echo", "/grid/state")
    assert process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    before = int(run("topic", "echo", "/clock", "--once", "--field", "tick").stdout.split()[0])
    wanted = f"tick >= {before + 30}"
    assert run("topic", "echo", "/clock", "--once", "--filter", wanted).exit_code == 0
    process.send_signal(signal.SIGCONT)


def test_the_frame_knows_all_commands():
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in ("topic", "node", "service", "param", "doctor", "top"):
        assert f"\n  {name} " in done.stdout
