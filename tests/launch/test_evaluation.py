"""Evaluation: everybody plays the same held-out scenarios, and is counted the same way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from agents.settings import Baseline
from launch.episodes import Episode, play
from launch.errors import LaunchError
from launch.evaluation import evaluate, main, read_results
from launch.references import NOTES, ORACLES
from launch.report import write_report
from simulator.link_config import LinkConfig, fixed_delay
from simulator.world import World
from tests.grids import CounterGrid
from tests.launch.finished_run import AGENTS, finished_run, write_evaluator

pytestmark = pytest.mark.timeout(90)


class Always:
    """Takes one action in every copy, and remembers what it was shown."""

    def __init__(self, action: int = 0) -> None:
        self.action = action
        self.shown: list[np.ndarray] = []
        self.starts: list[list[bool]] = []

    def act(self, obs, mask, starts):
        self.shown.append(obs.copy())
        self.starts.append(starts.tolist())
        return np.full(len(obs), self.action)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def results(run: Path, said: list[str]) -> list[Episode]:
    return evaluate(run, said.append)


def of(results: list[Episode], policy: str) -> list[Episode]:
    return [episode for episode in results if episode.policy == policy]


def test_every_policy_plays_every_scenario(results):
    played = list(dict.fromkeys(episode.policy for episode in results))
    assert len(played) == 4
    assert sum("ensemble" in name for name in played) == 2
    assert played[2:] == ["do_nothing", "random"]
    for name in [*played[:2], "random"]:
        assert [episode.scenario for episode in of(results, name)] == [0, 1, 2]
    for episode in results:
        assert (episode.ticks, episode.limit, episode.terminated, episode.survived) == (9, 9, False, 1.0)
        assert 0 < episode.episode_return < 9


def test_what_was_played_before_changes_no_scenario(results):
    twice = of(results, "do_nothing")
    assert len(twice) == 6
    assert twice[:3] == twice[3:]
    assert len({episode.episode_return for episode in twice}) == 3  # the scenarios differ


def test_a_rule_that_does_not_fit_the_grid_is_left_out_and_told(results, said):
    assert not of(results, "reconnect_only")
    assert any(text.startswith("reconnect_only: left out, baseline 'reconnect_only'") for text in said)


def test_evaluating_again_gives_the_same_and_the_file_keeps_it(run, results):
    assert evaluate(run, lambda _: None) == results
    assert read_results(run) == results
    assert read_results(run / "models") == []


def test_agents_that_follow_a_rule_follow_it_in_the_evaluation_too(run, results):
    kept = (run / "nodes" / "evaluator.json").read_text()
    write_evaluator(run, learners=["block_0"], stand_ins={"block_1": "do_nothing"}, baselines=[])
    half = evaluate(run, lambda _: None)
    (run / "nodes" / "evaluator.json").write_text(kept)
    evaluate(run, lambda _: None)
    policies = {episode.policy for episode in half}
    assert policies == {episode.policy for episode in results if "ensemble" in episode.policy}
    assert [e.episode_return for e in half] != [e.episode_return for e in results if e.policy in policies]


def test_the_first_episode_of_each_copy_counts_and_only_that():
    world = World(CounterGrid(length=4), LinkConfig())  # copy i is cut after 4 + i ticks
    episodes = play(world, "mine", {"left": Always(1), "right": Always(3)}, 20, print)
    assert [episode.ticks for episode in episodes] == [4, 5, 6]
    assert [episode.episode_return for episode in episodes] == [8.0, 10.0, 12.0]  # 2 a tick, mean of 1 and 3
    assert [episode.metrics["count"] for episode in episodes] == [
        pytest.approx(np.mean([1, 2, 3, 0])),  # the copy starts again in its last tick
        pytest.approx(np.mean([1, 2, 3, 4, 0])),
        pytest.approx(np.mean([1, 2, 3, 4, 5, 0])),
    ]
    assert [episode.interventions for episode in episodes] == [1.0, 1.0, 1.0]
    assert [episode.survived for episode in episodes] == [1.0, 1.0, 1.0]


def test_an_episode_that_ends_early_has_survived_its_share():
    world = World(CounterGrid(length=10), LinkConfig())
    episodes = play(world, "mine", {"left": Always(0), "right": Always(2)}, 8, print)
    assert [(e.ticks, e.terminated, e.survived) for e in episodes] == [(1, True, 0.0)] * 3
    assert [e.interventions for e in episodes] == [0.5] * 3  # one of two agents acted
    whole = play(world, "mine", {"left": Always(0), "right": Always(0)}, 8, print)
    assert [(e.ticks, e.terminated, e.survived, e.interventions) for e in whole] == [(8, False, 1.0, 0.0)] * 3


def test_an_episode_that_ends_in_its_fourth_tick_of_eight_has_survived_three():
    assert Episode("mine", 0, 4, 8, True, 0.0, 0.0, {}).survived == 0.375


def test_a_rule_sees_what_it_goes_by(tmp_path):
    """Consensus hears its neighbours, also where agents do not; the scenarios stay the same."""
    grid = {"grid": "microgrid6", "options": {}, "scada": None, "smoothing": 0.0}
    rules = ["integral_voltage", "consensus_voltage", "nominal_setpoint"]
    settings = {
        "episodes": 2, "max_ticks": 5, "policies": [], "baselines": rules, "options": {}, "seed": 3,
        "learners": [], "stand_ins": {}, "simulator": grid,
    }  # fmt: skip
    own = evaluate(tmp_path, print, settings, tmp_path / "own.json")
    heard = {**settings, "options": {"observation": "neighbours"}}
    everybody = evaluate(tmp_path, print, heard, tmp_path / "heard.json")
    returns = {name: [e.episode_return for e in of(own, name)] for name in rules}
    assert returns["consensus_voltage"] != returns["integral_voltage"]
    assert returns == {name: [e.episode_return for e in of(everybody, name)] for name in rules}


def test_policies_see_the_world_through_the_link_and_are_told_of_new_episodes():
    policy = Always(0)
    play(World(CounterGrid(length=4), fixed_delay(2)), "mine", {"left": policy, "right": Always(0)}, 6, print)
    counts = np.stack(policy.shown)[:, 1, 0] % 1000
    assert counts.tolist() == [0, 0, 0, 1, 2, 0]
    assert policy.starts == [[True] * 3, *[[False] * 3] * 3, [True, False, False], [False, True, False]]


@pytest.mark.parametrize("name", ORACLES)
def test_an_oracle_plays_the_same_scenarios_without_the_link(name, tmp_path):
    options = {"split": "all", "max_steps": 110, "scenarios": [[1, 0], [12, 0]], "gate": 1.0}
    delayed = {"default": {"command": {"delay": {"fixed": 200}}}}  # nothing an agent does would arrive
    training = {"grid": "grid2op:rte_case5_example", "options": options, "scada": delayed, "smoothing": 0.0}
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "simulator.json").write_text(json.dumps(training))
    write_evaluator(tmp_path, learners=[], baselines=["do_nothing", name], options={}, episodes=2)
    results = evaluate(tmp_path, lambda _: None)
    assert [(e.policy, e.scenario, e.ticks, e.terminated) for e in results] == [
        ("do_nothing", 0, 98, True), ("do_nothing", 1, 98, True),
        (name, 0, 110, False), (name, 1, 110, False),
    ]  # fmt: skip
    assert all(episode.metrics["illegal_proposals"] == 0 for episode in results)
    console = Console(width=400, record=True)
    page = write_report(tmp_path, console).read_text(encoding="utf-8")
    for text in (page, console.export_text()):
        assert f"{name} is no agent but an upper reference" in text


def test_an_oracle_that_the_grid_does_not_have_is_left_out_and_told(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    write_evaluator(folder, learners=[], baselines=["simulate_greedy", "random"])
    told: list[str] = []
    assert {episode.policy for episode in evaluate(folder, told.append)} == {"random"}
    assert any(text.startswith("simulate_greedy: left out, grid 'synthetic': has no oracle") for text in told)


def test_an_oracle_is_a_reference_but_no_agent():
    assert set(ORACLES) <= set(NOTES)
    assert not set(ORACLES) & set(get_args(Baseline))


def test_episodes_without_end_need_a_limit():
    with pytest.raises(LaunchError, match=r"'counter' has episodes without end; set evaluator\.max_ticks"):
        play(World(CounterGrid(), LinkConfig()), "mine", {}, None, print)


def test_the_command_says_what_is_wrong_with_a_folder(run, tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "give the folder of a run that has trained" in capsys.readouterr().err
    (tmp_path / "nodes").mkdir()
    for name in ("simulator.json", "evaluator.json"):
        (tmp_path / "nodes" / name).write_text((run / "nodes" / name).read_text())
    (tmp_path / "models").mkdir()
    assert main([str(tmp_path)]) == 1
    assert "saved no policies after the same update" in capsys.readouterr().err
    (tmp_path / "nodes" / "evaluator.json").write_text("{")
    assert main([str(tmp_path)]) == 1
    assert "evaluator.json: cannot be read" in capsys.readouterr().err


def test_the_command_tells_its_progress_and_writes_the_results(run, results, capsys):
    assert main([str(run)]) == 0
    assert "reconnect_only: left out" in capsys.readouterr().out
    assert read_results(run) == results


def test_an_ensemble_with_an_external_agent_is_left_out_and_the_rules_still_play(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    write_evaluator(folder, learners=[AGENTS[0]], stand_ins={})
    told: list[str] = []
    played = {episode.policy for episode in evaluate(folder, told.append)}
    assert played == {"do_nothing", "random"}
    assert any("policies of ['block_1'] are not in this run's folder" in text for text in told)
