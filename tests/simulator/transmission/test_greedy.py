"""The greedy player that looks one step ahead keeps the rules and a grid alive."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import simulator
from simulator.errors import OptionError
from simulator.frame import Verdict
from simulator.oracle import make_with_oracle
from simulator.transmission.family import make_grid
from simulator.transmission.greedy import SimulateGreedy

CASE5 = "grid2op:rte_case5_example"
WEEKS = {"split": "all", "max_steps": 220, "scenarios": [[1, 0], [12, 0]], "partition": "distance"}


@pytest.fixture(scope="module")
def played():
    """Frames until the 220th step; each with what the player did before it."""
    world, oracle = make_with_oracle("simulate_greedy", CASE5, 2, 0, **WEEKS)
    frames = [(None, world.reset())]
    for _ in range(219):
        actions = oracle.act()
        frames.append((actions, world.step(actions)))
    yield world, frames
    world.close()


def test_it_survives_the_morning_that_doing_nothing_does_not(played):
    _, frames = played
    assert not any(frame.terminated.any() for _, frame in frames)
    grid = make_grid(CASE5, 2, 0, **WEEKS)
    grid.reset()
    ended = [grid.step({a: grid.fallback(a) for a in grid.spec.agents}).terminated for _ in range(120)]
    grid.close()
    assert np.any(ended, axis=0).tolist() == [True, True]


def test_none_of_its_actions_is_illegal_or_loses_and_all_are_applied(played):
    world, frames = played
    acted = 0
    for actions, frame in frames[1:]:
        assert (frame.verdicts == Verdict.APPLIED).all()
        assert all(np.array_equal(frame.applied[agent], actions[agent]) for agent in world.spec.agents)
        acted += sum(int((chosen != 0).sum()) for chosen in actions.values())
    assert acted >= 2


def test_it_acts_only_where_rho_has_reached_the_gate_and_with_one_agent_at_a_time(played):
    world, frames = played
    rho = [i for i, name in enumerate(world.spec.state_names) if name.endswith(".rho")]
    for (_, before), (actions, _) in pairwise(frames):
        acting = np.sum([chosen != 0 for chosen in actions.values()], axis=0)
        assert (acting <= 1).all()
        assert (before.state[:, rho].max(axis=1)[acting > 0] >= 0.95 - 1e-6).all()


@pytest.fixture(scope="module")
def open_grid():
    grid = make_grid(CASE5, 2, 0, **WEEKS, forecasts=True, gate=0)
    yield grid
    grid.close()


def test_looking_ahead_changes_nothing_and_tells_what_the_step_then_shows(open_grid):
    first = open_grid.reset(0)
    choices = [("cluster_1", action) for action in range(20)]
    ahead = open_grid.look_ahead([choices, []])
    assert [len(rho) for rho in ahead] == [20, 0]
    assert np.array_equal(open_grid.look_ahead([choices, []])[0], ahead[0])
    best = 1 + int(ahead[0][1:].argmin())
    frame = open_grid.step({"cluster_1": np.array([best, 0]), "cluster_0": np.zeros(2, int)})
    assert frame.info["max_rho"][0] == pytest.approx(ahead[0][best], rel=0.03)  # a forecast errs
    assert np.array_equal(open_grid.reset(0).state, first.state)


def test_a_choice_that_the_rules_forbid_looks_infinitely_bad(open_grid):
    open_grid.reset(0)
    act = next(i for i, n in enumerate(open_grid.spec.action_names["cluster_1"]) if n.endswith("112112"))
    open_grid.step({"cluster_1": np.array([act, 0]), "cluster_0": np.zeros(2, int)})  # starts a cooldown
    assert not open_grid.masks()["cluster_1"][0, act]
    assert open_grid.look_ahead([[("cluster_1", act)], []])[0].tolist() == [np.inf]


def test_workers_foresee_the_same(open_grid):
    spread = make_grid(CASE5, 2, 0, **WEEKS, forecasts=True, gate=0, workers=2)
    tries = [[("cluster_1", 1), ("cluster_0", 4)], [("cluster_1", 5)]]
    open_grid.reset(0)
    spread.reset(0)
    here, there = open_grid.look_ahead(tries), spread.look_ahead(tries)
    spread.close()
    assert [rho.tolist() for rho in here] == [rho.tolist() for rho in there]


def test_it_needs_forecasts_and_topology_agents():
    blind = make_grid(CASE5, 1, 0, gate=0)
    with pytest.raises(OptionError, match="forecasts=true"):
        SimulateGreedy(blind)
    with pytest.raises(OptionError, match="only with the option forecasts=true"):
        blind.look_ahead([[]])
    blind.close()
    with pytest.raises(OptionError, match="has no oracle 'simulate_greedy', nor any other; leave it out"):
        make_with_oracle("simulate_greedy", "synthetic")


def test_forecasts_do_not_change_the_world():
    frames = []
    for forecasts in (False, True):
        world = simulator.make(CASE5, n_envs=2, seed=3, forecasts=forecasts, **WEEKS)
        world.reset()
        resting = {agent: world.fallback(agent) for agent in world.spec.agents}
        frames.append([world.step(resting).state for _ in range(20)])
        world.close()
    assert np.array_equal(frames[0], frames[1])
