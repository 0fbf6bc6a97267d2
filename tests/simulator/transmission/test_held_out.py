"""Evaluations play the days that training leaves out, and it is known where they may not."""

from __future__ import annotations

import pytest

from simulator.held_out import evaluation_options, may_have_met

CASE14 = "grid2op:rte_case14_realistic"
DAYS = {"scenarios": [[0, 0], [1, 288]]}


@pytest.mark.parametrize(
    ("training", "wanted", "expected"),
    [
        ({}, {}, {"split": "eval"}),
        ({"split": "train", "gate": 0.5}, {"max_steps": 9}, {"split": "eval", "max_steps": 9}),
        ({"scenarios": None}, {}, {"split": "eval"}),
        (DAYS, {"scenarios": None}, {"split": "eval", "scenarios": None}),
        # What the evaluation says itself wins, and other ways to choose days are left alone.
        ({}, {"split": "train"}, {"split": "train"}),
        ({}, {"split": "all"}, {"split": "all"}),
        ({}, DAYS, DAYS),
        (DAYS, {}, {}),
        ({"split": "all"}, {}, {}),
        ({"split": "eval"}, {}, {}),
    ],
)
def test_an_evaluation_plays_the_other_split_unless_days_are_chosen_otherwise(training, wanted, expected):
    assert evaluation_options(CASE14, training, wanted) == expected


@pytest.mark.parametrize(
    ("training", "evaluation", "met"),
    [
        ({}, {"split": "eval"}, False),
        ({"split": "eval"}, {"split": "train"}, False),
        ({}, {}, True),
        ({}, {"split": "all"}, True),
        ({"split": "all"}, {"split": "eval"}, True),
        ({"split": "all", "chronics": ["a"]}, {"split": "all", "chronics": ["b"]}, False),
        ({"split": "all", "chronics": ["a"]}, {"split": "all", "chronics": ["a", "b"]}, True),
        ({"split": "all", "chronics": ["a"]}, {"split": "all", "chronics": None}, True),
        ({"split": "all"}, DAYS, False),  # written by hand to be held out
        (DAYS, DAYS, True),
        (DAYS, {"scenarios": [(1, 288)]}, True),
        (DAYS, {"scenarios": [[1, 0]]}, False),
        (DAYS, {"split": "eval"}, True),  # the list may hold days of either split
    ],
)
def test_options_tell_whether_training_may_have_met_what_is_evaluated(training, evaluation, met):
    assert may_have_met(CASE14, training, evaluation) == met


@pytest.mark.parametrize("grid", ["frequency68", "microgrid6", "synthetic"])
def test_where_scenarios_are_drawn_another_seed_is_enough(grid):
    assert evaluation_options(grid, {}, {"a": 1}) == {"a": 1}
    assert not may_have_met(grid, {}, {})
