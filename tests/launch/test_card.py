"""A saved ensemble's model card: what it says is so, and what it tells the reader to run runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from launch.card import write_card
from launch.episodes import Episode
from launch.evaluation import evaluate, read_results
from launch.imports import ROOT
from tests.launch.finished_run import AGENTS, COPIES, STEPS, UPDATES, finished_run

pytestmark = pytest.mark.timeout(90)

CONFIG = """
name: tiny
seed: 7
simulator: {grid: synthetic, n_envs: 2, options: {max_steps: 5}}
agents: {n_steps: 8, updates: 2, hyperparameters: {n_epochs: 1}}
critic: {mode: independent}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = finished_run(tmp_path_factory.mktemp("finished") / "run")
    (folder / "config.yaml").write_text(CONFIG)
    evaluate(folder, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def card(run: Path) -> str:
    path = write_card(run)
    assert path == run / "models" / "README.md"
    return path.read_text(encoding="utf-8")


def row(card: str, name: str) -> list[str]:
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_front_matter_is_that_of_a_stable_baselines3_model(run, card):
    _, text, _ = card.split("---\n", 2)
    matter = yaml.safe_load(text)
    assert matter["library_name"] == "stable-baselines3"
    assert {"reinforcement-learning", "multi-agent", "synthetic"} <= set(matter["tags"])
    ours = [e.episode_return for e in read_results(run) if e.policy == "ensemble"]
    value = matter["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert float(value.split()[0]) == pytest.approx(sum(ours) / len(ours), rel=1e-3)


def test_it_says_how_the_policies_were_trained(card):
    assert row(card, "environment steps")[1] == f"{STEPS * UPDATES * COPIES:,}"
    assert row(card, "critic")[1].startswith("independent")
    assert row(card, "seed")[1] == "7"
    assert "delay: {fixed: 1}" in row(card, "SCADA link")[1]
    for agent in AGENTS:
        assert row(card, agent)[1].startswith(f"`{agent}-{UPDATES:06d}-")


def test_the_wall_time_is_that_of_the_whole_run_where_it_is_known(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    path = write_card(folder)
    assert path is not None
    assert row(path.read_text(), "simulator ran")[1].endswith(" s since its last start")
    (folder / "duration.json").write_text('{"seconds": 1234.5}')
    write_card(folder)
    assert row(path.read_text(), "wall time")[1].startswith("1,234 s, start and end of all processes")


def test_episodes_that_were_cut_are_said_to_be_cut(run, card, tmp_path):
    assert "were cut" not in card
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    document = json.loads((folder / "evaluation.json").read_text())
    document["settings"]["max_ticks"] = 5
    (folder / "evaluation.json").write_text(json.dumps(document))
    path = write_card(folder)
    assert path is not None
    assert "Episodes were cut after 5 ticks (`evaluator.max_ticks`)" in path.read_text()


def test_results_stand_beside_every_rule_with_intervals(run, card):
    assert re.fullmatch(r"\S+ \[\S+, \S+\]", row(card, "ensemble")[1])
    better = row(card, "random")[3]
    pairs = {e.scenario: e.episode_return for e in read_results(run) if e.policy == "random"}
    ours = {e.scenario: e.episode_return for e in read_results(run) if e.policy == "ensemble"}
    share = sum(ours[s] > pairs[s] for s in ours) / len(ours)
    assert better.startswith(f"{share:.0%} [")


def test_rules_that_a_study_played_elsewhere_are_taken_in(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    elsewhere = [
        Episode("pi_agc", scenario, 9, 9, False, -1e6, 0.0, {}) for scenario in range(3)
    ]  # worse than anything
    path = write_card(folder, elsewhere)
    assert path is not None
    assert row(path.read_text(), "pi_agc")[3] == "100% [100, 100]"


@pytest.mark.parametrize("index", [0, 1], ids=["all agents", "one agent in plain SB3"])
def test_the_python_of_the_card_runs_as_it_stands(run, card, index):
    assert said_by_python(card, index, run) == (str(sorted(AGENTS)), "True")[index]


def test_the_python_runs_where_some_agents_follow_rules(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "config.yaml").write_text(
        CONFIG.replace("n_steps", "overrides: {block_1: {baseline: random}}, n_steps")
    )
    manifest = folder / "models" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["agents"] = [entry for entry in document["agents"] if entry["agent"] == "block_0"]
    manifest.write_text(json.dumps(document))
    path = write_card(folder)
    assert path is not None
    assert said_by_python(path.read_text(), 0, folder) == str(sorted(AGENTS))


def test_a_partition_file_goes_with_the_policies(run, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    Path("clusters.json").write_text("{}")
    settings = folder / "nodes" / "simulator.json"
    document = json.loads(settings.read_text())
    settings.write_text(json.dumps({**document, "options": {"partition": "clusters.json"}}))
    for _ in range(2):
        path = write_card(folder)
        assert path is not None
        assert "'partition': 'models/partition.json'" in path.read_text()
        Path("clusters.json").unlink(missing_ok=True)  # the copy stays
    assert (folder / "models" / "partition.json").read_text() == "{}"


def said_by_python(card: str, index: int, folder: Path) -> str:
    """Run one of the card's programs in the folder that holds models/."""
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[index]
    code += "print(sorted(actions) if 'actions' in dir() else model.action_space.contains(action))\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ("memory: {actions: 2}, ", "These agents remember: `SavedPolicy`"),
        ("corrects: random, ", "These agents correct a rule: `SavedPolicy`"),
        ("corrects: random, overrides: {block_1: {memory: {actions: 1}}}, ", "remember and correct a rule:"),
    ],
)
def test_it_says_what_plain_sb3_would_leave_out(run, tmp_path, agents, said):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "config.yaml").write_text(CONFIG.replace("n_steps", f"{agents}n_steps"))
    path = write_card(folder)
    assert path is not None
    assert said in path.read_text()
    assert row(path.read_text(), "corrects")[1] == ("`random`" if "corrects" in agents else "nothing")


def test_it_says_whether_training_may_have_met_the_scenarios(run, card, tmp_path):
    assert "3 scenarios that training never saw, the same for all" in card
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    settings = folder / "nodes" / "simulator.json"
    days = {"grid": "grid2op", "options": {"split": "all"}}  # evaluated on all days, too
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **days}))
    path = write_card(folder)
    assert path is not None
    assert "3 scenarios that training may have met, the same for all" in path.read_text()
    assert "never saw" not in path.read_text()


def test_a_run_that_saved_nothing_has_no_card(tmp_path):
    assert write_card(tmp_path) is None


def test_before_an_evaluation_the_card_says_so(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "evaluation.json").unlink()
    path = write_card(folder)
    assert path is not None
    assert "Not evaluated yet: `chorus eval`." in path.read_text()
    assert "model-index" not in path.read_text()
