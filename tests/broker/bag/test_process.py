"""Recorder and player as programs: what is wrong with their settings is one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker.bag.processes import ROOT

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]


def started(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--name", "x", "--broker", "tcp://127.0.0.1:1", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("module", ["broker.bag.recorder", "broker.bag.player", "launch.fork"])
def test_a_settings_file_that_cannot_be_read_is_one_line(module: str) -> None:
    done = started(module, "--config", "/nowhere.json")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("broker.errors.SettingsFileError: settings file /nowhere.json: cannot be read")


@pytest.mark.parametrize(("module", "key"), [("broker.bag.recorder", "folder"), ("broker.bag.player", "bag")])
def test_settings_that_are_not_enough_are_one_line(tmp_path: Path, module: str, key: str) -> None:
    config = tmp_path / "node.json"
    config.write_text(json.dumps({}))
    done = started(module, "--config", str(config))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("broker.bag.errors.BagError: ")
    assert f"settings ['{key}'] are missing" in line


def test_a_program_without_settings_says_how_it_is_called() -> None:
    done = started("broker.bag.recorder")
    assert done.returncode == 2
    assert "--config is missing" in done.stderr
