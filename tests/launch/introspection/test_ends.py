"""How commands end in a real terminal, and what a stopped onlooker does to a run."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from broker.errors import RequestTimeoutError
from launch.imports import ROOT
from launch.introspection.session import guarded

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


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a/b"), 2, "a/b: No such file: correct the path\n"),
        (OSError(errno.ENOSPC, "No space left"), 1, "No space left: make room, or write elsewhere\n"),
        (OSError("odd"), 1, "odd\n"),
        (RequestTimeoutError("no answer"), 1, "no answer\n"),
    ],
)
def test_what_the_system_refuses_is_a_line_and_an_exit_code(capsys, fault, code, said):
    with pytest.raises(typer.Exit) as ended, guarded():
        raise fault
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == said


def test_a_full_disk_below_the_output_is_said_once(ensemble):
    command = [sys.executable, "-m", "launch.cli", "topic", "list", "--broker", ensemble]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "No space left on device: make room, or write elsewhere\n",
    )


def test_the_frame_knows_all_commands():
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in ("topic", "node", "service", "param", "doctor", "top"):
        assert f"\n  {name} " in done.stdout
