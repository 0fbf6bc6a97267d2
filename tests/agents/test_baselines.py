"""The rules that every grid's results are compared with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

import simulator
from agents.baselines import DoNothing, RandomPolicy, make_baseline
from agents.errors import SettingsError
from agents.settings import AgentSettings, Baseline
from tests.agents.descriptions import BOX, DISCRETE, MULTI, view

STARTS = np.zeros(600, bool)
OBS = np.ones((600, 3), np.float32)


@pytest.mark.parametrize(("action", "expected"), [(DISCRETE, [0]), (MULTI, [0, 0]), (BOX, [0.0, 0.0])])
def test_doing_nothing_is_action_zero_in_the_spaces_own_type(action, expected):
    space = view(action).action_space
    chosen = DoNothing(space).act(OBS, None, STARTS)
    assert chosen.shape == (600, *space.shape)
    assert space.contains(chosen[0] if space.shape else int(chosen[0]))
    assert np.all(chosen.reshape(600, -1) == expected)


def test_random_choices_are_legal_and_uniform_among_the_legal():
    mask = np.zeros((600, 4), bool)
    mask[:, [1, 3]] = True
    mask[0] = [True, False, False, False]
    chosen = RandomPolicy(view(DISCRETE).action_space, seed=1).act(OBS, mask, STARTS)
    assert mask[np.arange(600), chosen].all()
    assert abs((chosen == 1).mean() - 0.5) < 0.1
    free = RandomPolicy(view(DISCRETE).action_space, seed=1).act(OBS, None, STARTS)
    assert np.abs(np.bincount(free, minlength=4) / 600 - 0.25).max() < 0.08


def test_random_combinations_and_quantities_fill_their_space():
    several = view(MULTI).action_space
    chosen = RandomPolicy(several, seed=2).act(OBS, None, STARTS)
    assert all(several.contains(row) for row in chosen)
    assert chosen.max(axis=0).tolist() == [1, 4]
    assert chosen.min(axis=0).tolist() == [0, 0]
    box = {"kind": "box", "low": [-1.0, 2.0], "high": [1.0, 6.0]}
    quantities = RandomPolicy(view(box).action_space, seed=2).act(OBS, None, STARTS)
    assert quantities.dtype == np.float32
    assert np.abs(quantities.mean(axis=0) - [0.0, 4.0]).max() < 0.2
    assert np.abs(quantities.std(axis=0) - np.array([2.0, 4.0]) / np.sqrt(12)).max() < 0.15


def test_random_policies_repeat_under_a_seed_and_differ_without():
    first, again, other = (make_baseline("random", view(), seed).act(OBS, None, STARTS) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_reconnect_only_takes_the_first_line_that_is_out_and_may_return():
    rule = make_baseline("reconnect_only", view(), 0)
    # Features: line_0_1_0.status, rho, line_3_4_5.status; actions 1 and 3 reconnect 3_4_5 and 0_1_0.
    obs = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0], [0, 1, 0]], np.float32)
    assert rule.act(obs, None, STARTS[:5]).tolist() == [0, 3, 1, 1, 1]
    mask = np.ones((5, 4), bool)
    mask[4, 1] = False
    mask[1, 3] = False
    assert rule.act(obs, mask, STARTS[:5]).tolist() == [0, 0, 1, 1, 3]


def test_reconnecting_needs_lines():
    with pytest.raises(SettingsError, match=r"none of 2 actions sets a line's status to \+1"):
        make_baseline("reconnect_only", view(actions=("wait", "set_line_status 1 -1")), 0)


@pytest.mark.parametrize("name", ["pi_agc", "pi_agc_usual", "pi_agc_forecast"])
def test_frequency_control_is_refused_where_there_is_no_unit_to_control(name):
    complaint = r"baseline 'pi_agc': unit .* is of no known kind.*; use it on the grid frequency68"
    substations = json.dumps({"clusters": [{"name": "left", "variables": {"substation": [0, 1]}}]})
    with pytest.raises(SettingsError, match=complaint):
        make_baseline(name, replace(view(), partition=substations), 0)
    world = simulator.make("synthetic", n_envs=2, seed=0)
    with pytest.raises(SettingsError, match=complaint):
        make_baseline(name, replace(view(), partition=world.spec.partition), 0)


def test_every_rule_that_may_be_written_in_settings_is_known_and_no_other():
    with pytest.raises(SettingsError, match="baseline is 'magic', expected one of") as refusal:
        make_baseline("magic", view(), 0)
    assert all(repr(name) in str(refusal.value) for name in get_args(Baseline))
    with pytest.raises(SettingsError) as unfit:
        make_baseline("consensus_voltage", view(), 0)
    assert "expected one of" not in str(unfit.value)  # known, though not for this grid


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mode": "sleep"}, "mode is 'sleep', expected 'train' or 'act'"),
        ({"algorithm": "dqn"}, "algorithm is 'dqn', expected one of"),
        ({"n_steps": 1}, "n_steps is 1, expected at least 2 ticks"),
        ({"updates": 0}, "updates is 0, expected at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"baseline": "magic"}, "baseline is 'magic', expected one of"),
        ({"mode": "act"}, "load is None, expected a saved policy"),
        ({"critic": {"mode": "borrowed"}}, "critic.mode is 'borrowed'"),
        ({"steps": 5}, r"settings is \['steps'\], expected keys out of"),
    ],
)
def test_settings_are_checked(values, expected):
    with pytest.raises(SettingsError, match=expected):
        AgentSettings.from_dict(values)


def test_a_view_holds_one_agents_part_of_the_description():
    own = view(BOX)
    assert own.feature_names == ("line_0_1_0.status", "rho", "line_3_4_5.status")
    assert own.neighbours == ("right",)
    assert own.action_space.high.tolist() == [1.0, np.inf]
    assert own.observation_space.low.tolist() == [-np.inf, 0.0, 0.0]
    assert not own.masked  # quantities have no masks, whatever other agents of the grid have
    assert view(DISCRETE).masked
    assert not view(DISCRETE, masked=False).masked
