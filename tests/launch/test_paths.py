"""Paths in launch files: absolute in what a run keeps, whatever happens to links and working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.arguments import parse_overrides
from launch.errors import LaunchFileError
from launch.launch_file import read_launch_file
from launch.paths import checked, refuse_missing
from launch.run import Options, run
from launch.spec import LaunchSpec

LEAST = "name: x\nsimulator: {grid: synthetic}\n"


def resolved(folder: Path, text: str, *words: str) -> LaunchSpec:
    folder.mkdir(exist_ok=True)
    (folder / "x.yaml").write_text(text)
    root = read_launch_file(folder / "x.yaml", parse_overrides(words)).root
    spec = checked(root)
    refuse_missing(root, spec)
    return spec


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the models folder of a run that runs/latest, in the working directory, is a link to."""
    models = tmp_path / "runs" / "x-1" / "models"
    models.mkdir(parents=True)
    (models / "a.zip").touch()
    (tmp_path / "runs" / "latest").symlink_to("x-1")
    monkeypatch.chdir(tmp_path)
    return models


def test_what_is_loaded_from_the_latest_run_is_that_run_before_the_new_one_is_the_latest(saved, tmp_path):
    overrides = "agents: {overrides: {block_0: {load: runs/latest/models/a.zip}, block_1: {policy: p}}}\n"
    spec = resolved(tmp_path / "files", LEAST + overrides, "agents.load=runs/latest/models")
    assert spec.agents.load == str(saved)
    assert spec.agents.overrides["block_0"].load == str(saved / "a.zip")
    assert spec.agents.overrides["block_1"].load is None


def test_a_load_that_is_not_there_is_a_fault_at_its_place_also_in_a_dry_run(saved, tmp_path):
    text = (
        LEAST
        + "agents:\n  overrides:\n    block_0:\n      load: gone.zip\n    block_1: {load: a, external: true}"
    )
    with pytest.raises(LaunchFileError) as caught:
        resolved(tmp_path, text, "agents.load=no/such")
    every, one = map(str, caught.value.faults)
    assert every.startswith(
        "command line: agents.load: got 'no/such', which is not there; expected the models/"
    )
    assert one.startswith(f"{tmp_path}/x.yaml:6: agents.overrides.block_0.load: got 'gone.zip', which is not")
    with pytest.raises(LaunchFileError, match="no/such"):
        run(Options(tmp_path / "x.yaml", ["agents.load=no/such"], dry_run=True))


def test_files_are_seen_from_the_working_directory_or_from_the_launch_file(saved, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "p.json").touch()
    text = "name: x\nsimulator: {grid: synthetic, options: {partition: p.json, case: none, gate: runs}}\n"
    text += "evaluator: {options: {partition: p.json}}\n"
    spec = resolved(tmp_path / "files", text)
    beside = str(tmp_path / "files" / "p.json")
    assert spec.simulator.options == {"partition": beside, "case": "none", "gate": "runs"}
    assert spec.evaluator is not None
    assert spec.evaluator.options == {"partition": beside}
    (tmp_path / "p.json").touch()
    assert resolved(tmp_path / "files", text).simulator.options["partition"] == str(tmp_path / "p.json")


def test_a_name_that_a_grid_knows_is_no_path_though_there_is_a_folder_of_that_name(saved, tmp_path):
    (tmp_path / "single").mkdir()
    text = "name: x\nsimulator: {grid: synthetic, options: {partition: single}}\n"
    assert resolved(tmp_path, text).simulator.options == {"partition": "single"}


def test_a_run_whose_load_is_gone_meanwhile_can_still_be_read(tmp_path):
    (tmp_path / "x.yaml").write_text(LEAST)
    root = read_launch_file(tmp_path / "x.yaml", parse_overrides(["agents.load=/gone/models"])).root
    assert checked(root).agents.load == "/gone/models"
