"""The command line, as a user meets it: help, checks, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch.errors import ShadowedPackageError
from launch.imports import ROOT, check_packages

pytestmark = pytest.mark.timeout(60)


SMALL = """
name: small
arguments:
  seed: {default: 0, description: the seed of everything random}
  n_envs: {default: 4, description: copies of the grid that step together}
  updates: 3
seed: ${seed}
simulator: {grid: synthetic, n_envs: "${n_envs}"}
agents: {updates: "${updates}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small launch file."""
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def command(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run run_ensemble.py from some folder."""
    script = str(ROOT / "launch" / "run_ensemble.py")
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, script, *words],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_teaches_with_examples(tmp_path: Path) -> None:
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "chorus launch launch/files/case14.yaml updates=10 seed=3" in done.stdout
    assert "Exit codes: 0 regular end" in done.stdout


def test_the_frame_of_chorus_imports_no_command() -> None:
    code = "import sys; from launch.commands import chorus; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "pydantic", "yaml", "zmq"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("typed", "meant"), [("lunch", "did you mean launch?"), ("xyz", "known are bag, doctor, eval")]
)
def test_a_mistyped_command_is_answered_with_what_was_probably_meant(typed: str, meant: str) -> None:
    code = [sys.executable, "-m", "launch.cli", typed]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"No such command {typed!r}, {meant}" in done.stderr


def test_a_dry_run_shows_every_node_and_starts_none(folder: Path) -> None:
    done = command("small.yaml", "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "python -m simulator --name simulator --broker ipc://" in done.stdout
    assert "python -m agents --name block_0" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


def test_a_dry_run_of_the_default_ensemble_works_from_any_folder(tmp_path: Path) -> None:
    done = command("--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "python -m agents.critic --name critic" in done.stdout


def test_our_packages_come_before_others_of_the_same_name(folder: Path) -> None:
    (folder / "agents").mkdir()
    (folder / "agents" / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    done = command("small.yaml", "--dry-run", cwd=folder, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr


def test_arguments_can_be_listed(folder: Path) -> None:
    done = command("small.yaml", "--show-args", cwd=folder)
    assert done.returncode == 0
    assert "n_envs=4" in done.stdout
    assert "copies of the grid that step together" in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["none.yaml"], "none.yaml: cannot be read (No such file or directory)"),
        (["small.yaml", "sead=1"], "command line: sead: unknown argument, did you mean seed?"),
        (["small.yaml", "n_envs=few"], "command line: n_envs: argument is 'few', expected an integer"),
        (
            ["small.yaml", "agents.n_step=3"],
            "command line: agents.n_step: unknown key, did you mean n_steps?",
        ),
        (["small.yaml", "simulator.grid=grid2"], "command line: simulator.grid: grid 'grid2': no such grid"),
        (["small.yaml", "agents.overrides.west.baseline=random"], "west: the grid has no agent of this name"),
        (
            ["small.yaml", "updates=0"],
            "small.yaml:9 (${updates} from the command line): agents.updates: got 0",
        ),
    ],
)
def test_bad_input_is_an_error_with_exit_code_2(folder: Path, words: list[str], complaint: str) -> None:
    done = command(*words, "--dry-run", cwd=folder)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_folder_that_exists_is_not_overwritten(folder: Path) -> None:
    done = command("small.yaml", "--run-dir", str(folder), cwd=folder)
    assert done.returncode == 2
    assert f"run folder {folder}: cannot be made (File exists); choose another with --run-dir" in done.stderr


def test_a_package_that_shadows_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    monkeypatch.delitem(sys.modules, "agents", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        ShadowedPackageError, match=f"import agents: finds {tmp_path}/agents, expected {ROOT}"
    ):
        check_packages(("agents",))


def test_our_own_packages_are_found() -> None:
    check_packages()
