"""Settings files of nodes are checked before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from broker.errors import SettingsFileError
from broker.process import read_settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{", "cannot be read"), ("[1]", "is a list, expected a JSON object"), (None, "cannot be read")],
)
def test_what_is_no_settings_file_is_refused_by_its_path(tmp_path, text, expected):
    path = tmp_path / "node.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsFileError, match=expected):
        read_settings(path)


@pytest.mark.parametrize("module", ["simulator", "agents", "agents.critic"])
def test_a_node_with_a_broken_settings_file_says_so_and_fails(tmp_path, module):
    path = tmp_path / "node.json"
    path.write_text("{")
    command = [sys.executable, "-m", module, "--name", "x", "--broker", "tcp://127.0.0.1:1", "--config", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"broker.errors.SettingsFileError: settings file {path}: cannot be read")
