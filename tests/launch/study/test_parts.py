"""Parts of a study without training: its file, its plan, its conditions, its page."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from launch.episodes import Episode
from launch.errors import LaunchError, LaunchFileError
from launch.imports import ROOT
from launch.study import figures, table
from launch.study.lock import locked
from launch.study.page import replace_part
from launch.study.playing import due, play, prepare, refresh
from launch.study.report import make_report
from launch.study.reproduce import compare
from launch.study.rows import RECORD, Plan, State, write_config
from launch.study.scores import Score, read_scores
from launch.study.study import Study, find_study, read_study
from launch.study.training import Record
from tests.launch.finished_run import GRID, finished_run

pytestmark = pytest.mark.timeout(90)

STUDIES = ROOT / "benchmarks" / "studies"
LAUNCH = GRID + "agents: {n_steps: 8, updates: 2}\n"
STUDY = """
name: late
launch: tiny.yaml
variants:
  on time: {simulator.scada.default.measurement.delay.fixed: 1}
  other: {agents.updates: 9}
conditions:
  on time: {simulator.scada.default.measurement.delay.fixed: 1}
  late: {simulator.scada.default.measurement.delay.fixed: 3}
seeds: [0]
scenarios: {seed: 3, episodes: 2}
policies: [deterministic]
baselines: [random]
"""


def written(folder: Path, text: str = STUDY) -> Study:
    (folder / "study.yaml").write_text(text)
    (folder / "tiny.yaml").write_text(LAUNCH)
    return read_study(folder / "study.yaml")


def plan_of(folder: Path, text: str = STUDY) -> Plan:
    return Plan(written(folder, text), folder / "out", folder / "tiny.yaml", {})


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_study_can_begin(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read_study(path)
    assert study.name == path.stem
    plan = Plan(study, tmp_path, ROOT / study.launch, {})
    rows = list(plan.rows())
    assert len(rows) == len(study.seeds) * len(study.variants)
    assert len({row.folder for row in rows}) == len(rows)
    for variant in study.variants:
        spec, agents = plan.spec(plan.row(variant, 4))
        assert (spec.seed, spec.evaluator.seed, spec.evaluator.baselines) == (4, study.scenarios.seed, [])
        assert agents
        assert plan.state(plan.row(variant, 4)) is State.MISSING
    assert plan.baseline_spec()[0].simulator.grid == spec.simulator.grid
    prepare(plan)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("seeds:", "seed:", r"study\.yaml:\d+: seed: unknown key, did you mean seeds\?"),
        ("  other:", "  on-time:", r"variants: 'on time' and 'on-time' would share a folder; rename one"),
        ("[random]", "[randm]", r"study\.yaml:\d+: baselines\.0"),
        ("[random]", "[random]\nloss_against: pi_agc", r"loss_against: 'pi_agc' is not among the baselines"),
        ("seeds: [0]", "seeds: [0, 1, 0]", r"seeds: \[0, 1, 0\] has a seed twice"),
        ("agents.updates: 9", "seed: 9", r"variants\.other: seed is for the study to say: set its `seeds`"),
        (
            "fixed: 3}",
            "fixed: 3, evaluator.episodes: 9}",
            r"conditions\.late: evaluator\.episodes is for the",
        ),
        ("[random]", "[random]\nrivals: [othr]", r"rivals: no variant 'othr', did you mean other\?"),
        ("[random]", "[random]\nnotes: {othr: x}", r"notes\.othr: no such row, did you mean other\?"),
    ],
)
def test_what_is_wrong_with_a_study_file_is_told_with_its_place(tmp_path, old, new, fault):
    with pytest.raises(LaunchFileError, match=fault):
        written(tmp_path, STUDY.replace(old, new))


def test_an_unknown_study_is_told_with_the_nearest_name():
    with pytest.raises(LaunchFileError, match=r"no study 'frequency', did you mean frequency68\?"):
        find_study("frequency", STUDIES)


@pytest.fixture
def trained(tmp_path: Path) -> Plan:
    """Return a plan of which one run was trained, by other means."""
    plan = plan_of(tmp_path)
    row = plan.row("on time", 0)
    finished_run(row.folder)
    write_config(row.folder, plan.spec(row)[0])
    (row.folder / RECORD).write_text("{}")
    return plan


def test_a_policy_is_evaluated_under_every_condition_and_baselines_once_in_each(trained):
    row = trained.row("on time", 0)
    jobs = list(due(trained, [row]))
    assert len(jobs) == 4
    play(jobs, 1, lambda _: None)
    assert list(due(trained, [row])) == []  # what is there is not played again
    scores = {(s.policy, s.condition): s for s in read_scores(trained, [row])}
    assert list(scores) == [
        ("on time", "on time"),
        ("on time", "late"),
        ("random", "on time"),
        ("random", "late"),
    ]
    late, usual = scores["on time", "late"].returns, scores["on time", "on time"].returns
    assert late.shape == usual.shape == (1, 2)
    assert (late != usual).any()
    assert (scores["random", "late"].returns == scores["random", "on time"].returns).all()  # it sees nothing
    text = table.cross_table(trained.study, list(scores.values()))
    assert re.search(r"^\| on time \| \S+ \[\S+, \S+\] \| \S+ \[\S+, \S+\] \|$", text, re.MULTILINE)


def test_a_wrong_condition_is_told_before_anything_is_trained(tmp_path):
    late = "late: {simulator.scada."
    unknown = plan_of(tmp_path, STUDY.replace(f"{late}default", f"{late}defalt"))
    with pytest.raises(LaunchFileError, match="unknown key, did you mean default"):
        prepare(unknown)
    training = plan_of(tmp_path, STUDY.replace(late, "late: {agents.updates: 3, simulator.scada."))
    with pytest.raises(LaunchFileError, match=r"agents\.updates: is of training"):
        prepare(training)


@pytest.mark.parametrize(
    ("variant", "seed", "fault"),
    [("on tme", 0, "no variant 'on tme', did you mean on time"), ("other", 7, "no seed 7; the study has 0")],
)
def test_an_unknown_row_is_named(tmp_path, variant, seed, fault):
    with pytest.raises(LaunchError, match=fault):
        plan_of(tmp_path).row(variant, seed)


def test_a_table_has_only_what_was_evaluated_as_the_study_asks(trained):
    row = trained.row("on time", 0)
    (row.folder / RECORD).write_text(json.dumps(asdict(Record("chorus", "abc", "a machine", 1.0, 1))))
    play([refresh(trained, row), *due(trained, [row])], 1, lambda _: None)
    whole = make_report(trained, "a command")
    assert whole.missing == ("other, seed 0",)
    assert "| random |" in whole.text
    assert "commit abc; seeds 0; 2 scenarios" in whole.text
    late = trained.result_file(trained.baseline_folder, "late")
    document = json.loads(late.read_text())
    document["settings"]["seed"] += 1
    late.write_text(json.dumps(document))
    lines = make_report(trained, "a command").text.splitlines()
    assert "- not there yet: other, seed 0; baselines" in lines
    assert next(line for line in lines if line.startswith("| random |")).endswith("|  |")
    late.unlink()
    trained.result_file(row.folder, "late").unlink()
    nothing = make_report(trained, "a command")
    assert (nothing.text, nothing.missing) == ("", ("on time, seed 0", "other, seed 0", "baselines"))


def test_one_command_at_a_time_works_in_a_folder(tmp_path):
    folder = tmp_path / "out"
    busy = pytest.raises(LaunchError, match=rf"process {os.getpid()} works in this folder; wait")
    with locked(folder), busy, locked(folder):
        pass
    with locked(folder):
        pass


def test_a_run_with_other_settings_than_the_study_asks_for_is_named(trained):
    asked = Plan(trained.study, trained.folder, trained.launch_file, {"agents.n_steps": 16})
    with pytest.raises(LaunchError, match=r"seed_0 was trained with .*agents\.n_steps is 8, asked 16"):
        asked.state(asked.row("on time", 0))


def test_a_run_that_wrote_a_path_as_absolute_has_the_settings_of_the_study(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    asked = Plan(trained.study, trained.folder, trained.launch_file, {"agents.load": "models"})
    row = asked.row("on time", 0)
    spec = asked.spec(row)[0]
    load = {"load": str(tmp_path / "models")}
    write_config(row.folder, spec.model_copy(update={"agents": spec.agents.model_copy(update=load)}))
    assert asked.state(row) == State.TRAINED


def test_another_policy_or_return_is_told(trained, tmp_path):
    first, second = trained.row("on time", 0), trained.row("other", 0)
    for row, sha, value in ((first, "aa", 1.0), (second, "bb", 1.0)):
        (row.folder / "models").mkdir(parents=True, exist_ok=True)
        entries = [{"agent": "west", "policy_sha256": "cc"}, {"agent": "east", "policy_sha256": sha}]
        (row.folder / "models" / "manifest.json").write_text(json.dumps({"agents": entries}))
        episodes = [{"policy": "ensemble", "scenario": s, "episode_return": value + s} for s in range(3)]
        (row.folder / "evaluation.json").write_text(json.dumps({"episodes": episodes}))
    assert compare(first, first).same
    found = compare(first, second)
    assert not found.same
    assert str(found) == (
        "1 of 2 policies have the same SHA-256, 3 of 3 episodes the same return; different: east"
    )


def score(policy: str, variant: str, condition: str, returns: object) -> Score:
    rows = np.atleast_2d(np.asarray(returns, float))
    episodes = tuple(
        tuple(
            Episode(policy, s, 9, 9, False, value, 0.0, {"max worst": -value}) for s, value in enumerate(run)
        )
        for run in rows
    )
    return Score(policy, variant, condition, tuple(range(len(rows))), episodes)


def test_losses_are_told_as_shares_of_the_baselines_and_extremes_over_all_episodes(tmp_path):
    text = STUDY.replace(
        "baselines: [random]", "baselines: [random]\nloss_against: random\nmetrics: [max worst]"
    )
    study = written(tmp_path, text)
    ours = score("on time", "on time", "", [[-1, -2, -3, -6], [-1, -2, -3, -4]])
    theirs = score("random", "", "", [-2, -4, -6, -8])
    lines = table.results_table(study, [ours, theirs]).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[0] == "on time"
    assert cells[1].startswith("−2.5 [")  # the middle four of eight: -2, -2, -3, -3
    assert cells[3].startswith("0.5 [")
    assert cells[4] == "6"
    assert cells[5].startswith("100 % [")


def test_a_table_says_which_commit_made_which_variant(tmp_path):
    study = written(tmp_path)
    one, two, three = (Record("python ...", commit, "2 cores", 1.0, 1) for commit in ("c1", "c2", "c3"))
    assert "commit c1; seeds 0;" in table.provenance(study, "x", {"on time": [one], "other": [one]}, [])
    text = table.provenance(study, "x", {"on time": [one, three], "other": [two], "late": [two]}, [])
    assert "commit c2, c1 and c3 for on time; seeds 0;" in text


def test_variants_may_be_compared_with_each_other(tmp_path):
    study = written(tmp_path, STUDY.replace("seeds: [0]", "seeds: [0]\nrivals: [other]"))
    scores = [
        score("on time", "on time", "", [[1, 2], [3, 2]]),
        score("other", "other", "", [[1, 1], [2, 3]]),
        score("random", "", "", [0, 9]),
    ]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in
            table.results_table(study, scores).splitlines() if line.startswith("|")]  # fmt: skip
    column = rows[0].index("better than other")
    assert rows[2][column].startswith("56 % [")  # 2.5 of 4 pairs, then 2 of 4
    assert (rows[3][0], rows[3][column]) == ("other", "")
    assert rows[4][column].startswith("50 % [")
    assert rows[0].index("better than random") == column + 1


def test_what_was_trained_for_all_conditions_is_held_against_each_specialist(tmp_path):
    study = written(tmp_path)
    scores = [score("on time", "on time", c, [-2, -2]) for c in study.conditions]
    scores += [score("other", "other", c, [-3, -3]) for c in study.conditions]
    text = table.cross_table(study, scores)
    assert "| loss over the specialist's | on time |" in text
    assert "| other | 1.5 |" in text


def test_a_map_shows_who_does_well_where():
    losses = np.array([[1.0, 9.0], [2.0, np.nan]])
    whole = figures.cross_map(["on time", "other"], ["on time", "late"], losses)
    assert whole.startswith(b"\x89PNG")
    assert whole != figures.cross_map(["on time", "other"], ["on time", "late"], losses.T)


def test_a_study_that_was_not_run_has_its_place_in_the_page(tmp_path):
    page = tmp_path / "results.md"
    replace_part(page, "late", "not run yet\n", {}, tmp_path / "pictures")
    replace_part(page, "late", "| a |\n", {"curves": b"png"}, tmp_path / "pictures")
    assert page.read_text() == (
        "# Results\n\n## late\n\n<!-- study: late -->\n\n| a |\n\n"
        "![late, curves](pictures/learning_late_curves.png)\n\n<!-- end -->\n"
    )
