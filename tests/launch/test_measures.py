"""Figures of an episode are made from exactly the ticks that they are about."""

from __future__ import annotations

import numpy as np
import pytest

from launch.episodes import play
from launch.errors import LaunchError, LaunchFileError
from launch.held_out import scenario_seed
from launch.measures import Measure
from launch.seeds import Role, held_out_seed, seed_of
from launch.spec import LaunchSpec
from launch.validate import validate
from launch.yaml_tree import entry_of
from simulator.link_config import LinkConfig
from simulator.world import World
from tests.grids import CounterGrid
from tests.launch.test_evaluation import Always

MEASURES = ("max count", "min count", "sum count", "count from 3", "min count from 2", "max count from 99")


def test_a_measure_reduces_the_ticks_of_the_first_episode():
    world = World(CounterGrid(length=4), LinkConfig())  # copy i counts to 3 + i, and is cut in its next tick
    policies = {"left": Always(1), "right": Always(3)}
    for episode in play(world, "mine", policies, 20, print, MEASURES):
        counts = np.array([*range(1, 4 + episode.scenario), 0], float)  # the cut copy starts again at 0
        found = episode.metrics
        assert found["count"] == pytest.approx(counts.mean())
        assert found["max count"] == counts.max()
        assert found["min count"] == counts.min()
        assert found["sum count"] == counts.sum()
        assert found["count from 3"] == pytest.approx(counts[2:].mean())
        assert found["min count from 2"] == counts[1:].min()
        assert np.isnan(found["max count from 99"])  # the episode ended before


@pytest.mark.parametrize("text", ["", "median count", "count from 0", "max count count", "max count from x"])
def test_a_measure_of_another_form_is_refused(text):
    with pytest.raises(LaunchError, match=r"is no measure; write '\[max\|min\|sum\] METRIC \[from TICK\]'"):
        Measure.parse(text)


def test_a_measure_of_no_metric_is_told_with_the_nearest_name_and_left_out():
    told: list[str] = []
    world = World(CounterGrid(length=4), LinkConfig())
    policies = {"left": Always(1), "right": Always(3)}
    (episode, *_) = play(world, "mine", policies, 3, told.append, ["max counts", "max count"])
    assert set(episode.metrics) == {"count", "max count"}
    assert told == [
        "evaluator.metrics: 'max counts' left out, the grid has no such metric, did you mean count?"
    ]


def test_a_launch_file_with_a_measure_of_another_form_is_refused_before_anything_runs():
    tree = entry_of(
        {"name": "x", "simulator": {"grid": "synthetic"}, "evaluator": {"metrics": ["a", "median a"]}}, "f:3"
    )
    with pytest.raises(LaunchFileError, match=r"f:3: evaluator\.metrics\.1: 'median a' is no measure"):
        validate(tree)


def spec(seed: int, scenarios: int | None) -> LaunchSpec:
    return LaunchSpec.model_validate(
        {"name": "x", "seed": seed, "simulator": {"grid": "synthetic"}, "evaluator": {"seed": scenarios}}
    )


def test_runs_that_share_the_scenarios_seed_share_the_scenarios_and_others_have_their_own():
    assert scenario_seed(spec(0, 7)) == scenario_seed(spec(1, 7)) != scenario_seed(spec(0, 8))
    assert scenario_seed(spec(0, None)) != scenario_seed(spec(1, None))
    assert scenario_seed(spec(3, None)) == seed_of(3, Role.EVALUATOR)


def test_no_training_has_the_seed_of_the_shared_scenarios():
    assert all(held_out_seed(n) >> 31 == 1 for n in range(200))
    assert all(seed_of(n, role) >> 31 == 0 for n in range(200) for role in Role)
