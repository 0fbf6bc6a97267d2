"""A program run as threads of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launch.arguments import parse_overrides
from launch.assemble import assemble
from launch.errors import NodeFailedError
from launch.launch_file import read_launch_file
from launch.run_folder import RunFolder
from launch.threads import run_threads
from launch.validate import validate
from tests.ensemble.supervised import ROOT, wait_until

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]

RULES = """
name: rules
simulator: {grid: synthetic, n_envs: 2}
agents: {baseline: random, n_steps: 5, updates: 4}
"""


def test_agents_that_follow_rules_run_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    spec = validate(read_launch_file(tmp_path / "rules.yaml", parse_overrides([])).root)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    program = assemble(spec, ("block_0", "block_1"), folder, "memory://rules")
    assert run_threads(program) == 0
    assert (folder.path / "timing" / "block_1.json").exists()


def test_the_failure_of_one_node_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    spec = validate(read_launch_file(tmp_path / "rules.yaml", parse_overrides([])).root)
    folder = RunFolder(tmp_path / "run")
    program = assemble(spec, ("block_0", "stranger"), folder, "memory://failing")
    with pytest.raises(NodeFailedError, match="stranger: "):
        run_threads(program)


def test_threads_show_how_far_they_are(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [sys.executable, str(ROOT / "launch" / "run_ensemble.py"), "rules.yaml", "--threads"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=True)
    assert "tick 20/20 (100 %)" in run.stdout


def test_ctrl_c_ends_threads_too(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    script = str(ROOT / "launch" / "run_ensemble.py")
    command = [sys.executable, script, "rules.yaml", "agents.updates=100000", "--threads", "--run-dir", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as run:
        wait_until(lambda: (tmp_path / "run" / "nodes" / "block_1.json").exists())
        os.killpg(run.pid, signal.SIGINT)
        try:
            _, errors = run.communicate(timeout=30)
        finally:
            run.kill()
    assert run.returncode == 130
    assert "Traceback" not in errors
