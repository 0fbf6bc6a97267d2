"""What is called held out was held out, and what may not have been is called so."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from launch.after import _what_is_done
from launch.agent_names import agents_of
from launch.eval_command import app
from launch.evaluation import RESULTS, evaluate, main, unseen
from launch.held_out import evaluator_settings
from launch.validate import validate
from launch.yaml_tree import entry_of
from simulator.errors import OptionError
from tests.launch.finished_run import write_evaluator

pytestmark = pytest.mark.timeout(90)
CASE14 = "grid2op:rte_case14_realistic"
FIRST_DAY = datetime(2019, 1, 6)  # of both chronics


def settings_of(grid: str, options: dict[str, Any], evaluator: dict[str, Any]) -> dict[str, Any]:
    tree = {"name": "x", "simulator": {"grid": grid, "options": options}, "evaluator": evaluator}
    root = entry_of(tree, "f:1")
    spec = validate(root)
    return evaluator_settings(spec, agents_of(root, spec))


def run_folder(folder: Path, grid: str, training: dict[str, Any], **evaluator: Any) -> Path:
    """Make a folder as a run leaves it whose agents followed rules."""
    (folder / "nodes").mkdir()
    simulator = {"grid": grid, "options": training, "scada": None, "smoothing": 0.0}
    (folder / "nodes" / "simulator.json").write_text(json.dumps(simulator))
    usual = {"learners": [], "baselines": ["do_nothing"], "options": {}, "episodes": 4, "max_ticks": 1}
    write_evaluator(folder, **{**usual, **evaluator})
    tree = {"name": "x", "simulator": {"grid": grid, "options": training}, "evaluator": {"max_ticks": 1}}
    (folder / "config.yaml").write_text(json.dumps({**tree, "agents": {"baseline": "do_nothing"}}))
    return folder


def held_out(episodes: list[dict[str, Any]]) -> list[bool]:
    starts = [timedelta(minutes=5 * episode["metrics"]["start_step"]) for episode in episodes]
    return [(FIRST_DAY + start).toordinal() % 5 == 0 for start in starts]


def test_a_launch_file_that_says_nothing_of_it_evaluates_on_held_out_days():
    assert settings_of(CASE14, {}, {"episodes": 4})["options"] == {"split": "eval"}
    assert settings_of(CASE14, {}, {"options": {"split": "all"}})["options"] == {"split": "all"}
    assert settings_of("synthetic", {}, {"episodes": 4})["options"] == {}


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [({}, "on held-out"), ({"options": {"split": "all"}}, "on scenarios that training may have met")],
)
def test_what_is_said_of_the_scenarios_before_they_are_played_is_so(evaluator, said):
    tree = {"name": "x", "simulator": {"grid": CASE14}, "evaluator": evaluator}
    spec = validate(entry_of(tree, "f:1"))
    assert said in _what_is_done(spec, evaluator_settings(spec, ("south", "north"))["options"])


def test_every_day_that_is_played_is_held_out(tmp_path):
    folder = run_folder(tmp_path, CASE14, {})
    evaluate(folder, lambda _: None)
    document = json.loads((folder / RESULTS).read_text())
    assert held_out(document["episodes"]) == [True] * 4
    assert document["settings"]["options"] == {"split": "eval"}
    assert unseen(folder)


@pytest.mark.parametrize("words", [[], ["evaluator.episodes=4"]], ids=["as it was", "said anew"])
def test_chorus_eval_plays_held_out_days_of_a_run_whose_settings_do_not_name_them(tmp_path, words):
    folder, out = run_folder(tmp_path, CASE14, {}), tmp_path / "out.json"
    arguments = [str(folder), *words, "--baselines", "do_nothing", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert held_out(json.loads(out.read_text())["episodes"]) == [True] * 4


def test_listed_days_are_played_once_however_many_episodes_are_asked_for(tmp_path):
    folder, said = run_folder(tmp_path, CASE14, {}, options={"scenarios": [[0, 0], [1, 288]]}), []
    assert [episode.scenario for episode in evaluate(folder, said.append)] == [0, 1]
    assert "plays 2 episodes, not 4: the grid's options list 2 scenarios" in said


def test_training_days_are_played_where_they_are_asked_for_and_that_is_known(tmp_path):
    folder = run_folder(tmp_path, CASE14, {}, options={"split": "train"})
    evaluate(folder, lambda _: None)
    assert held_out(json.loads((folder / RESULTS).read_text())["episodes"]) == [False] * 4
    assert not unseen(folder)


def test_without_any_held_out_day_the_evaluation_says_what_to_do(tmp_path, capsys):
    chronics = ["2019-01-12", "2019-01-13"]  # a day each, and both of training
    folder = run_folder(tmp_path, "grid2op:educ_case14_storage", {"chronics": chronics})
    said = r"'split' is 'eval', but no day .*; choose split='all', .*; the evaluator asks for .*'eval'"
    with pytest.raises(OptionError, match=said):
        evaluate(folder, lambda _: None)
    assert main([str(folder)]) == 1
    assert "evaluator.options win" in capsys.readouterr().err
    write_evaluator(
        folder, learners=[], baselines=["do_nothing"], options={"split": "all"}, episodes=1, max_ticks=1
    )
    assert len(evaluate(folder, lambda _: None)) == 1
