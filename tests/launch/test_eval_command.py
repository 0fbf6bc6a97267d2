"""`chorus eval`: the same policies again, on other scenarios, against other rules, under other conditions."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from launch.eval_command import app
from launch.seeds import held_out_seed
from tests.launch.finished_run import GRID, finished_run, write_evaluator

pytestmark = pytest.mark.timeout(90)

EVALUATOR = """
evaluator: {episodes: 3, policies: [deterministic], baselines: [random], options: {max_steps: 9}, seed: 4}
"""
CONFIG = GRID + EVALUATOR
LATE = "simulator.scada.default.measurement.delay.fixed=4"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = finished_run(tmp_path_factory.mktemp("finished") / "run")
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def chorus_eval(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def episodes(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["episodes"]


def test_options_choose_scenarios_and_rules_and_the_run_keeps_them(run):
    done = chorus_eval(run, "--episodes", 2, "--seed", 7, "--baselines", "do_nothing,random")
    assert done.exit_code == 0, done.output
    document = json.loads((run / "evaluation.json").read_text())
    assert document["settings"] == json.loads((run / "nodes" / "evaluator.json").read_text())
    assert document["settings"]["seed"] == held_out_seed(7)
    played = [(e["policy"], e["scenario"]) for e in document["episodes"] if "ensemble" not in e["policy"]]
    assert played == [("do_nothing", 0), ("do_nothing", 1), ("random", 0), ("random", 1)]


def test_other_conditions_are_written_elsewhere_and_leave_the_run_as_it_was(run, tmp_path):
    out, before = tmp_path / "late.json", (run / "nodes" / "evaluator.json").read_text()
    assert (
        chorus_eval(run, "--out", tmp_path / "usual.json", "evaluator.policies=[deterministic]").exit_code
        == 0
    )
    done = chorus_eval(run, LATE, "--out", out)
    assert done.exit_code == 0, done.output
    assert not (run / "evaluation.json").exists()
    assert (run / "nodes" / "evaluator.json").read_text() == before
    link = json.loads(out.read_text())["settings"]["simulator"]["scada"]
    assert link["default"]["measurement"]["delay"] == {"fixed": 4}
    usual, late = episodes(tmp_path / "usual.json"), episodes(out)
    assert [e["policy"] for e in usual] == [e["policy"] for e in late] == ["ensemble"] * 3 + ["random"] * 3
    # The rule sees nothing, so it does the same in the same scenarios; the agents see everything later.
    assert [e["episode_return"] for e in usual[3:]] == [e["episode_return"] for e in late[3:]]
    assert [e["episode_return"] for e in usual[:3]] != [e["episode_return"] for e in late[:3]]


def test_a_run_that_was_interrupted_is_evaluated_as_its_configuration_says(run):
    (run / "nodes" / "evaluator.json").unlink()  # these come after training
    assert not (run / "models" / "manifest.json").exists()
    done = chorus_eval(run)
    assert done.exit_code == 0, done.output
    document = json.loads((run / "evaluation.json").read_text())
    assert [e["policy"] for e in document["episodes"]] == ["ensemble"] * 3 + ["random"] * 3
    assert document["settings"]["seed"] == held_out_seed(4)
    assert (run / "models" / "manifest.json").exists()
    assert (run / "models" / "README.md").exists()


@pytest.mark.parametrize("words", [[], ["--baselines", "random"]], ids=["all", "one rule"])
def test_the_policies_of_a_run_without_an_evaluator_are_played_as_by_default(run, words):
    (run / "config.yaml").write_text(GRID)
    write_evaluator(run, episodes=0, policies=[], baselines=[])  # as a run leaves it
    done = chorus_eval(run, *words)
    assert done.exit_code == 0, done.output
    played = [e["policy"] for e in episodes(run / "evaluation.json")]
    assert played == ["ensemble"] * 4 + ["random" if words else "do_nothing"] * 4


@pytest.mark.parametrize("one", [False, True], ids=["a folder", "a zip of one, a rule for the other"])
def test_policies_that_only_acted_are_evaluated_from_where_they_were_loaded(run, tmp_path, one):
    assert chorus_eval(run, "evaluator.baselines=[]").exit_code == 0
    acting = tmp_path / "acting"
    (acting / "nodes").mkdir(parents=True)
    shutil.copy(run / "nodes" / "simulator.json", acting / "nodes")
    (zip_of_one,) = (run / "models").glob("block_0-000002-*.zip")
    by_one = f"overrides: {{block_0: {{load: {zip_of_one}}}, block_1: {{baseline: do_nothing}}}}"
    agents = by_one if one else f"load: {run}/models"
    (acting / "config.yaml").write_text(f"{CONFIG}agents: {{mode: act, {agents}}}\n")
    done = chorus_eval(acting)
    assert done.exit_code == 0, done.output
    played = episodes(acting / "evaluation.json")
    assert [e["policy"] for e in played] == ["ensemble"] * 3 + ["random"] * 3
    trained = [e["episode_return"] for e in episodes(run / "evaluation.json") if e["policy"] == "ensemble"]
    assert ([e["episode_return"] for e in played[:3]] == trained) is not one


def test_nothing_played_is_an_error_and_leaves_the_results_as_they_were(run):
    assert chorus_eval(run, "--baselines", "random").exit_code == 0
    before = (run / "evaluation.json").read_text(), (run / "nodes" / "evaluator.json").read_text()
    done = chorus_eval(run, "evaluator.policies=[]", "--baselines", "reconnect_only")
    assert done.exit_code == 2
    assert "reconnect_only: left out" in done.output
    assert re.search(r"nothing was played, .* baselines \['reconnect_only'\]; name rules", done.output)
    after = (run / "evaluation.json").read_text(), (run / "nodes" / "evaluator.json").read_text()
    assert after == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([LATE], r"another grid or link than the run's is no result of the run; give --out FILE"),
        (["agents.n_steps=4", "--out", "x"], r"agents\.n_steps: is of training; here only evaluator\..*"),
        (["seed=1", "--out", "x"], r"seed: is of training"),
        (["evaluator.epsodes=4", "--out", "x"], r"evaluator\.epsodes: unknown key, did you mean episodes\?"),
        (["--out", "nowhere/late.json"], r"--out nowhere/late\.json: cannot be written; choose"),
        (["--baselines", "do_nothin"], r"there is no 'do_nothin', did you mean do_nothing\?"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(run, words, error):
    done = chorus_eval(run, *words)
    assert done.exit_code == 2
    assert not (run / "evaluation.json").exists()
    assert re.search(error, done.output), done.output
