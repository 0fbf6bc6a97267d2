"""Whole ensembles: the same seed gives the same policies, however the nodes are run."""

from __future__ import annotations

import json

import pytest

from tests.ensemble.runs import Run

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(240)]


def test_processes_and_threads_learn_the_same_policies_from_the_same_seed(tmp_path):
    saved = {}
    for name, flags in (("first", ()), ("again", ()), ("threads", ("--threads",)), ("other", ("seed=1",))):
        with Run(tmp_path / name, *flags) as run:
            assert run.exit_code() == 0, run.text()
            saved[name] = run.saved()
            assert run.left() == []
    assert len(saved["first"]) == 6  # two agents, three updates
    assert saved["again"] == saved["first"]
    assert saved["threads"] == saved["first"]
    assert not set(saved["other"].values()) & set(saved["first"].values())


@pytest.mark.parametrize(
    "overrides", [("critic=independent",), ("algorithm=recurrent_ppo",)], ids=lambda o: o[0]
)
def test_a_run_leaves_policies_timings_curves_and_a_report(tmp_path, overrides):
    with Run(tmp_path / "run", *overrides, "updates=2") as run:
        assert run.exit_code() == 0, run.text()
    folder = run.folder
    manifest = json.loads((folder / "models" / "manifest.json").read_text())
    assert [entry["agent"] for entry in manifest["agents"]] == ["block_0", "block_1"]
    assert manifest["updates"] == 2
    assert (folder / "tb" / "block_0" / "progress.csv").exists()
    assert json.loads((folder / "timing" / "simulator.json").read_text())["ticks"] == 64
    assert (folder / "broker.address").read_text().startswith("ipc://")
    simulated = sum(json.loads((folder / "timing" / "simulator.json").read_text())["seconds"].values())
    assert json.loads((folder / "duration.json").read_text())["seconds"] > simulated
    report = (folder / "report.html").read_text()
    assert "Time per tick" in report
    assert "data:image/png;base64," in report
