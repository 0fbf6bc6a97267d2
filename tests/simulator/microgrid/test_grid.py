"""Microgrids as grids of agents: what agents see, do and earn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.test import parallel_api_test, parallel_seed_test

import simulator
from simulator.errors import ActionError, OptionError, PartitionError
from simulator.microgrid.family import agent_names, make_grid
from simulator.microgrid.options import Options
from simulator.microgrid.reward import dg_rewards, voltage_reward

NAMES = ("microgrid6", "microgrid20")


def random_actions(grid, rng):
    spec, actions = grid.spec, {}
    for agent in spec.agents:
        space = spec.action_spaces[agent]
        if isinstance(space, spaces.Box):
            actions[agent] = rng.uniform(-1, 1, (spec.n_envs, *space.shape)).astype(np.float32)
        else:
            top = space.n if isinstance(space, spaces.Discrete) else space.nvec
            actions[agent] = rng.integers(0, top, (spec.n_envs, *space.shape))
    return actions


def held(grid, level):
    return {agent: np.full(grid.spec.n_envs, level) for agent in grid.spec.agents}


@pytest.fixture
def partition(tmp_path):
    clusters = [
        {"name": "west", "variables": {"agent": ["dg_1", "dg_2", "dg_3", "dg_4"]}},
        {"name": "east", "variables": {"agent": ["dg_6", "dg_5"]}},
    ]
    path = tmp_path / "partition.json"
    path.write_text(json.dumps({"format": "gridchorus-partition/1", "clusters": clusters}))
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"observation": "neighbours"}, {"actions": "continuous"}, {"graph": "communication"},
     {"fidelity": "phasor", "reward": "shared"}],
)  # fmt: skip
@pytest.mark.parametrize("name", NAMES)
def test_frames_fit_the_description(name, options):
    grid = make_grid(name, 3, 0, **options)
    spec, rng = grid.spec, np.random.default_rng(0)
    frames = [grid.reset(), *(grid.step(random_actions(grid, rng)) for _ in range(22))]
    assert agent_names(name, **options) == spec.agents
    for frame in frames:
        assert frame.state.shape == (3, len(spec.state_names)) == (3, len(spec.state_units))
        assert frame.rewards.shape == (3, len(spec.agents))
        assert set(frame.info) == set(spec.metric_names)
        for agent in spec.agents:
            assert all(row in spec.observation_spaces[agent] for row in frame.observations[agent])
            assert len(spec.observation_names[agent]) == frame.observations[agent].shape[1]
            assert len(spec.observation_units[agent]) == frame.observations[agent].shape[1]
    assert [bool(frame.truncated.all()) for frame in frames] == [k == 20 for k in range(23)]
    assert frames[20].final_observations is not None
    assert frames[21].final_observations is None


@pytest.mark.filterwarnings("ignore:.*:UserWarning:pettingzoo")
def test_pettingzoo_accepts_it():
    parallel_api_test(simulator.parallel_env("microgrid6"), num_cycles=45)
    parallel_seed_test(lambda: simulator.parallel_env("microgrid6"))


def test_features_are_standardized_to_order_one():
    for name in NAMES:
        grid = make_grid(name, 16, 0)
        grid.reset()
        rng = np.random.default_rng(0)
        seen = np.concatenate([grid.step(random_actions(grid, rng)).state for _ in range(19)])
        assert np.all(np.abs(seen.mean(axis=0)) < 4.0)
        assert np.all((seen.std(axis=0) > 0.02) | (seen.std(axis=0) == 0.0))
        assert np.all(seen.std(axis=0) < 3.0)
        assert np.flatnonzero(seen.std(axis=0) == 0.0).tolist() == [0]  # the angle of DG 1 to itself


def test_neighbours_observations_are_what_the_neighbours_see():
    own = make_grid("microgrid20", 2, 7)
    near = make_grid("microgrid20", 2, 7, observation="neighbours")
    a, b = own.reset(), near.reset()
    for agent in own.spec.agents:
        parts = [a.observations[other] for other in (agent, *own.spec.neighbours[agent])]
        np.testing.assert_array_equal(b.observations[agent], np.hstack(parts))


def test_the_same_seed_gives_the_same_frames_and_another_does_not():
    grids = [make_grid("microgrid6", 2, seed) for seed in (5, 5, 6)]
    for grid in grids:
        grid.reset()
    for _ in range(22):
        frames = [grid.step(held(grid, 4)) for grid in grids]
        np.testing.assert_array_equal(frames[0].state, frames[1].state)
        assert not np.array_equal(frames[0].state, frames[2].state)
    again = grids[2].reset(seed=5)
    np.testing.assert_array_equal(again.state, make_grid("microgrid6", 2, 5).reset().state)


def test_copies_are_independent_of_each_other_and_of_their_number():
    few, many = make_grid("microgrid6", 2, 3), make_grid("microgrid6", 5, 3)
    few.reset()
    many.reset()
    rng = np.random.default_rng(0)
    for _ in range(23):
        actions = random_actions(many, rng)
        a = few.step({agent: values[:2] for agent, values in actions.items()})
        b = many.step(actions)
        np.testing.assert_array_equal(a.state, b.state[:2])
        np.testing.assert_array_equal(a.rewards, b.rewards[:2])


def test_loads_begin_in_the_spread_and_walk_from_there():
    grid = make_grid("microgrid20", 50, 0, episode_ticks=10)
    grid.reset()
    paths = grid._loads.r
    assert 0.8 <= paths[:, 0].min() < 0.82
    assert 1.18 < paths[:, 0].max() <= 1.2
    moves = np.diff(paths, axis=1)
    assert 0.049 < np.abs(moves).max() <= 0.05
    still = make_grid("microgrid20", 2, 0, load_spread=0.0, load_walk=0.0)
    still.reset()
    assert np.all(still._loads.r == 1.0)


@pytest.mark.parametrize(
    ("v", "reward"),
    [(1.0, 0.05), (0.97, 0.02), (1.05, 0.0), (0.94, -0.06), (0.8, -0.2), (1.25, -0.25), (0.79, -10.0),
     (1.26, -10.0), (np.nan, -10.0)],
)  # fmt: skip
def test_voltages_earn_what_powernet_says(v, reward):
    assert voltage_reward(np.array(v), -10.0) == pytest.approx(reward)


def test_a_lost_bus_costs_every_dg():
    v_bus = np.array([[1.0, 1.0, 0.7], [1.0, 0.96, 1.0]])
    np.testing.assert_allclose(dg_rewards(v_bus, v_bus[:, :2], -10.0), [[-10, -10], [0.05, 0.01]])


def test_agents_earn_for_their_own_bus_or_share():
    local, shared = make_grid("microgrid20", 2, 0), make_grid("microgrid20", 2, 0, reward="shared")
    local.reset()
    shared.reset()
    a, b = local.step(held(local, 3)), shared.step(held(shared, 3))
    direct = a.observations["dg_4"][:, 7].astype(float) * 0.05 + 1
    v = np.hypot(direct, a.observations["dg_4"][:, 8].astype(float) * 0.05)
    np.testing.assert_allclose(a.rewards[:, 3], voltage_reward(v, -10.0), atol=1e-6)
    np.testing.assert_allclose(b.rewards, a.rewards.mean(axis=1, keepdims=True) * np.ones((1, 20)), rtol=1e-5)


def test_a_collapse_ends_the_episode_and_costs_ten():
    grid = make_grid("microgrid6", 3, 0, v_min_v=300.0)
    grid.reset()
    actions = held(grid, 9)
    for agent in actions:
        actions[agent][1] = 0  # 300 V
    frame = grid.step(actions)
    np.testing.assert_array_equal(frame.terminated, [False, True, False])
    assert not frame.truncated.any()
    np.testing.assert_array_equal(frame.rewards[1], -10.0)
    assert np.all(frame.rewards[[0, 2]] > -1.0)
    assert frame.info["voltage_min_pu"][1] < 0.8
    assert frame.final_state is not None
    assert not np.array_equal(frame.final_state[1], frame.state[1])
    np.testing.assert_array_equal(frame.final_state[0], frame.state[0])


def test_a_solution_that_fails_ends_the_episode_of_its_copy_alone():
    grid = make_grid("microgrid6", 2, 0)
    grid.reset()
    grid._state.p[0] = np.nan
    frame = grid.step(held(grid, 5))
    np.testing.assert_array_equal(frame.terminated, [True, False])
    np.testing.assert_array_equal(frame.rewards[0], -10.0)
    assert np.isfinite(frame.state).all()
    assert np.isfinite(frame.final_state).all()


def test_levels_and_continuous_actions_mean_the_same_volts():
    levels = make_grid("microgrid6", 1, 0)
    box = make_grid("microgrid6", 1, 0, actions="continuous")
    levels.reset()
    box.reset()
    a = levels.step(held(levels, 5))  # 480 + 110 * 5 / 10 = 535 V
    b = box.step({agent: np.zeros((1, 1), np.float32) for agent in box.spec.agents})
    np.testing.assert_array_equal(a.state, b.state)
    assert levels.spec.action_names["dg_1"][5] == "535 V"
    assert box.spec.action_names["dg_1"] == ("dg_1: 480 V to 590 V",)


def test_the_fallback_is_the_nominal_voltage_or_next_to_it():
    assert make_grid("microgrid6", 2, 0).fallback("dg_1").tolist() == [0, 0]
    wide = make_grid("microgrid6", 2, 0, v_min_v=440.0, v_max_v=540.0)
    assert wide.fallback("dg_3").tolist() == [4, 4]
    box = make_grid("microgrid20", 2, 0, actions="continuous", v_min_v=440.0, v_max_v=520.0)
    np.testing.assert_allclose(box.fallback("dg_3"), 0.0)


def test_dgs_of_a_cluster_are_one_agent(partition):
    apart = make_grid("microgrid6", 2, 4)
    merged = make_grid("microgrid6", 2, 4, partition=partition)
    spec = merged.spec
    assert spec.agents == ("west", "east") == agent_names("microgrid6", partition=partition)
    assert spec.action_spaces["east"] == spaces.MultiDiscrete([10, 10])
    assert spec.neighbours == {"west": ("east",), "east": ("west",)}
    assert json.loads(spec.partition)["clusters"][0]["name"] == "west"
    a, b = apart.reset(), merged.reset()
    np.testing.assert_array_equal(
        b.observations["east"], np.hstack([a.observations["dg_6"], a.observations["dg_5"]])
    )
    levels = dict(zip(apart.spec.agents, np.arange(12).reshape(6, 2) % 10, strict=True))
    a = apart.step(levels)
    b = merged.step(
        {
            "west": np.stack([levels[f"dg_{k}"] for k in (1, 2, 3, 4)], axis=1),
            "east": np.stack([levels["dg_6"], levels["dg_5"]], axis=1),
        }
    )
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_allclose(b.rewards[:, 1], a.rewards[:, 4:].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(merged.fallback("west"), np.zeros((2, 4)))


def test_a_partition_that_leaves_dgs_out_is_refused(partition):
    with pytest.raises(PartitionError, match=r"expected dg_1 .. dg_20, each in one cluster"):
        make_grid("microgrid20", 1, 0, partition=partition)
    with pytest.raises(PartitionError, match="each in one cluster"):
        agent_names("microgrid20", partition=partition)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros(3, int), r"action of dg_2 has shape \(3,\), expected \(2,\)"),
        (np.array([0, 10]), "action of dg_2 is 10 in some copy, expected 0 .. 9"),
        (np.array([0, -1]), "action of dg_2 is -1"),
        (np.array([0.0, np.nan]), "action of dg_2 has type float64, expected integers"),
    ],
)
def test_wrong_levels_are_refused(actions, message):
    grid = make_grid("microgrid6", 2, 0)
    grid.reset()
    with pytest.raises(ActionError, match=message):
        grid.step(held(grid, 0) | {"dg_2": actions})


@pytest.mark.parametrize("bad", [np.nan, 1.5])
def test_wrong_quantities_are_refused(bad):
    grid = make_grid("microgrid6", 2, 0, actions="continuous")
    grid.reset()
    good = {agent: np.zeros((2, 1), np.float32) for agent in grid.spec.agents}
    with pytest.raises(ActionError, match=f"action of dg_2 is {bad} in some copy"):
        grid.step(good | {"dg_2": np.full((2, 1), bad)})
    with pytest.raises(ActionError, match="none for"):
        grid.step({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voltage": 3}, r"option 'options' is \['voltage'\], expected names out of"),
        ({"actions": "both"}, "option 'actions' is 'both', expected one of"),
        ({"fidelity": "exact"}, "option 'fidelity' is 'exact'"),
        ({"levels": 1}, "option 'levels' is 1, expected an integer >= 2"),
        ({"levels": True}, "option 'levels' is True"),
        ({"episode_ticks": 0}, "option 'episode_ticks' is 0"),
        ({"tick_s": 0.0}, "option 'tick_s' is 0.0"),
        ({"warm_up_s": -1}, "option 'warm_up_s' is -1"),
        ({"load_spread": 1.0}, r"option 'load_spread' is 1.0, expected a number in \[0, 1\)"),
        ({"load_walk": float("nan")}, "option 'load_walk' is nan"),
        ({"v_min_v": "low"}, "option 'v_min_v' is 'low'"),
        ({"v_min_v": 600.0}, "setpoints from v_min_v 600.0 to v_max_v 590.0"),
        ({"frequency_control": "on"}, "option 'frequency_control' is 'on'"),
        ({"collapse_reward": None}, "option 'collapse_reward' is None"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(OptionError, match=message):
        make_grid("microgrid6", 1, 0, **options)


def test_options_travel_as_json():
    spec = make_grid("microgrid6", 1, 0, fidelity="full", episode_ticks=5).spec
    options = json.loads(json.dumps(spec.options))
    assert options["fidelity"] == "full"
    assert set(options) == set(Options.__dataclass_fields__)


def test_without_the_consensus_frequency_stays_low():
    grid = make_grid("microgrid6", 1, 0, frequency_control=False)
    grid.reset()
    for _ in range(19):
        frame = grid.step(held(grid, 5))
    assert frame.info["frequency_hz"][0] < 59.5


def test_an_episode_can_be_drawn():
    grid = make_grid("microgrid6", 2, 0)
    assert grid.render().startswith(b"\x89PNG")  # nothing yet
    grid.reset()
    for _ in range(20):
        grid.step(held(grid, 5))
    assert len(grid._last_episode.v_bus) == 21
    assert grid.render().startswith(b"\x89PNG")
    grid.step(held(grid, 5))
    assert len(grid._episode.v_bus) == 2
    grid.close()
