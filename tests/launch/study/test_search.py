"""Searches: trials that are drawn from a space, as long as each other, and compared by their returns."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launch.errors import LaunchError
from launch.imports import ROOT
from launch.study.rows import Plan
from launch.study.search import OWN, own_values, read_search, refuse_on_top, trials_of, with_steps

SEARCHES = sorted((ROOT / "benchmarks" / "searches").glob("*.yaml"))
GOOD = """
name: tiny
launch: launch/files/microgrid6.yaml
steps: 6400
trials: 20
space: {n_steps: [10, 20], agents.hyperparameters.gamma: [0.5, 0.9, null]}
"""


TINY = ROOT / "tests" / "launch" / "study" / "tiny_search.yaml"


def planned(path: Path, folder: Path, seed: int = 0) -> Plan:
    search = read_search(path)
    plan = Plan(trials_of(search, seed), folder, ROOT / search.launch, {})
    return with_steps(plan, search.steps)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_every_trial_of_a_shipped_search_can_be_launched_and_is_as_long_as_the_others(path, tmp_path):
    search, plan = read_search(path), planned(path, tmp_path)
    for row in plan.rows():
        spec, agents = plan.spec(row)
        assert len(agents) >= 2
        steps = spec.agents.updates * spec.agents.n_steps * spec.simulator.n_envs
        assert steps == pytest.approx(search.steps, rel=0.05)
        assert spec.evaluator.seed == search.scenarios.seed
    assert None not in own_values(plan, OWN, search.space).values()
    assert own_values(plan, "trial 1", search.space).items() <= plan.study.variants["trial 1"].items()


def test_draws_follow_from_the_seed_and_cover_the_space(tiny, tmp_path):
    trials = planned(tiny, tmp_path).study.variants
    assert trials == planned(tiny, tmp_path).study.variants != planned(tiny, tmp_path, seed=1).study.variants
    assert list(trials) == [OWN, *(f"trial {number}" for number in range(1, 21))]
    assert trials[OWN].keys() == {"agents.updates"}
    drawn = [own for name, own in trials.items() if name != OWN]
    assert {own["agents.hyperparameters.gamma"] for own in drawn} == {0.5, 0.9, None}
    assert {(own["n_steps"], own["agents.updates"]) for own in drawn} == {(10, 10), (20, 5)}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("space:", "spice:", "unknown key, did you mean space"),
        ("n_steps: [10, 20]", "seed: [1, 2]", "seed is for the search to say: set its `seeds`"),
        ("n_steps: [10, 20]", "n_steps: []", "at least 1 item"),
        ("n_steps: [10, 20]", "n_stops: [10]", "did you mean n_steps"),
        ("steps: 6400", "steps: 0", "greater than"),
        ("steps: 6400", "steps: 6400\nseeds: [3, 3]", "has a seed twice"),
        ("steps: 6400", "steps: 6400\nscenarios: {sed: 3}", "did you mean seed"),
        ("n_steps: [10, 20]", "updates: [10]", "updates is for the search to say: set its `steps`"),
        ("gamma: [0.5, 0.9, null]", "gamma: [0.9, 1.5]", r"tiny.yaml:6: space.agents.hyperparameters.gamma"),
        ("steps: 6400", "steps: 6400\noverrides: {agents.baseline: random}", "nobody learns"),
        ("microgrid6", "case14", "lists the 12 scenarios that it is evaluated on"),
    ],
)
def test_what_is_wrong_with_a_search_is_said_with_its_place(tiny, tmp_path, old, new, fault):
    tiny.write_text(GOOD.replace(old, new))
    with pytest.raises(LaunchError, match=fault):
        planned(tiny, tmp_path)


@pytest.mark.parametrize("key", ["n_steps", "agents.updates", "evaluator.policies"])
def test_the_command_line_cannot_change_what_a_search_draws_or_decides(tiny, key):
    with pytest.raises(LaunchError, match=key):
        refuse_on_top(read_search(tiny), [key])


def searched(folder: Path, *words: str) -> str:
    """Search as a user does, to the end."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "search.py"), str(TINY), "--out", str(folder), *words],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.ensemble
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_trials_are_trained_once_and_the_best_comes_first(tmp_path):
    page = tmp_path / "page.md"
    first = searched(tmp_path / "out", "--trials", "1", "--jobs", "2", "--write", str(page))
    rows = re.findall(r"^\| (launch file|trial 1) \| (\S+) ", first, re.MULTILINE)
    returns = [float(value.replace("\N{MINUS SIGN}", "-")) for _, value in rows]
    assert len(returns) == 2
    assert returns == sorted(returns, reverse=True)
    assert "| 32 | none |" in first.partition("| launch file |")[2].partition("\n")[0]
    assert first.partition("\n| trial |")[2].partition("\nruns:")[0] in page.read_text()
    again = searched(tmp_path / "out", "--trials", "1")
    assert "2 runs, 2 trained" in again
    assert "log in" not in again  # as a training says it
