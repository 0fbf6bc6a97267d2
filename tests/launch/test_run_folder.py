"""Run folders: each launch has its own, and one in which nothing began is not kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launch.errors import LaunchError
from launch.run import Options, run
from launch.run_folder import claim_run_folder

BAD = "name: bad\nsimulator: {grid: no_such_grid}\n"


def test_launches_at_the_same_time_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim_run_folder(tmp_path / "runs", "x"), range(24)))
    assert len({folder.path for folder in folders}) == 24
    for folder in folders:
        folder.make_parts()


def test_a_place_where_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to("nowhere/at/all")
    with pytest.raises(LaunchError, match=r"cannot be made .* choose another with --run-dir"):
        claim_run_folder(tmp_path / "runs", "x")


@pytest.mark.parametrize("named", [None, Path("here")])
def test_a_launch_that_does_not_begin_leaves_no_folder(tmp_path, monkeypatch, named) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(BAD)
    with pytest.raises(LaunchError, match="no_such_grid"):
        run(Options(tmp_path / "bad.yaml", [], named))
    left = {path for path in tmp_path.rglob("*") if path.is_dir()}
    assert left <= {tmp_path / "runs"}
