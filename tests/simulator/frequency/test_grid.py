"""The grid as agents meet it: spaces, rewards, endings, determinism, independence, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import ActionError, OptionError
from simulator.frame import Frame
from simulator.frequency import family
from simulator.frequency.grid import FrequencyGrid
from simulator.frequency.options import Options

CALM = {"load_sigma": 0.0, "common_sigma": 0.0, "trend_sigma": 0.0, "renewable_sigma_mw": 0.0,
        "ramps_per_hour": 0.0, "contingency_rate": 0.0}  # fmt: skip


def made(n_envs: int = 2, seed: int = 0, **options: object) -> FrequencyGrid:
    return family.make_grid("frequency68", n_envs, seed, **options)


def constant(grid: FrequencyGrid, value: float) -> dict[str, np.ndarray]:
    return {a: np.full((grid.spec.n_envs, 1), value, np.float32) for a in grid.spec.agents}


def drawn(grid: FrequencyGrid, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {a: rng.uniform(-1, 1, (grid.spec.n_envs, 1)).astype(np.float32) for a in grid.spec.agents}


def observed(frame: Frame, grid: FrequencyGrid, agent: str, feature: str) -> np.ndarray:
    return frame.observations[agent][:, grid.spec.observation_names[agent].index(feature)]


def same(one: Frame, two: Frame, row: int | slice = slice(None)) -> bool:
    arrays = [(one.state, two.state), (one.rewards, two.rewards)]
    arrays += [(one.observations[a], two.observations[a]) for a in one.observations]
    return all(np.array_equal(x[row], y[row]) for x, y in arrays)


def test_spaces_are_those_of_the_published_problem():
    spec = made().spec
    assert len(spec.agents) == 20
    assert len(spec.state_names) == len(spec.state_units) == len(set(spec.state_names)) == 140
    for agent in spec.agents:
        assert spec.observation_spaces[agent].shape == (15,)
        assert len(spec.observation_names[agent]) == len(spec.observation_units[agent]) == 15
        assert spec.action_spaces[agent].shape == (1,)
        assert spec.neighbours[agent]


def test_names_are_known_without_building_the_grid():
    assert family.agent_names("frequency68") == made().spec.agents


def test_frames_fit_the_spec():
    grid = made(n_envs=3)
    frames = [grid.reset(0), grid.step(drawn(grid, np.random.default_rng(0)))]
    for frame in frames:
        assert frame.state.shape == (3, 140)
        assert frame.state.dtype == np.float32
        assert frame.rewards.shape == (3, 20)
        assert frame.masks is None
        for agent, seen in frame.observations.items():
            assert all(grid.spec.observation_spaces[agent].contains(row) for row in seen)
    assert set(frames[1].info) == set(grid.spec.metric_names)


def test_soc_extends_the_state_on_request():
    grid = made(soc_in_state=True)
    frame = grid.reset(0)
    assert frame.state.shape == (2, 145)
    assert grid.spec.state_names[-1] == "soc_battery_50"
    np.testing.assert_allclose(frame.state[:, -5:], 0.5)


def test_the_episode_begins_at_60_hz():
    grid = made()
    frame = grid.reset(0)
    assert not frame.state[:, :68].any()
    assert not observed(frame, grid, "gas_53", "mean_df").any()


def test_a_calm_grid_stays_calm_for_a_thousand_ticks():
    grid = made(n_envs=1, episode_ticks=1000, **CALM)
    grid.reset(0)
    for _ in range(1000):
        frame = grid.step(constant(grid, 0.0))
        assert frame.info["worst_df_hz"][0] < 1e-9
        assert frame.rewards[0, 0] == pytest.approx(0.0, abs=1e-9)


def test_features_say_what_the_state_says():
    grid = made()
    rng = np.random.default_rng(1)
    grid.reset(0)
    for _ in range(5):
        frame = grid.step(drawn(grid, rng))
    names = grid.spec.state_names
    df = frame.state[:, :68]
    np.testing.assert_allclose(observed(frame, grid, "dr_37", "own_df"), df[:, 36])
    np.testing.assert_allclose(observed(frame, grid, "dr_37", "mean_df"), df.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(observed(frame, grid, "dr_37", "near_df_1"), df[:, 64])  # bus 65, machine 13
    output = frame.state[:, names.index("output_dr_37")]
    np.testing.assert_allclose(observed(frame, grid, "dr_37", "own_output"), output)
    np.testing.assert_allclose(
        observed(frame, grid, "dr_37", "utilization"), (100 * output + 200) / 200, rtol=1e-5
    )
    load = frame.state[:, names.index("load_change_37")]
    np.testing.assert_allclose(observed(frame, grid, "dr_37", "own_load_change"), load)
    forecast = frame.state[:, names.index("renewable_forecast_2min")]
    np.testing.assert_allclose(observed(frame, grid, "battery_33", "renewable_forecast_2min"), forecast)


def test_reward_is_the_published_formula():
    grid = made(n_envs=4)
    rng = np.random.default_rng(2)
    cost = {"battery": (5.0, 0.1), "gas": (50.0, 0.05), "dr": (20.0, 0.2)}
    frame = grid.reset(3)
    for _ in range(30):
        before = frame.state
        frame = grid.step(drawn(grid, rng))
        df_hz = frame.state[:, :68].astype(float) * 0.1
        moved = (frame.state - before)[:, 68:88].astype(float) * 100.0
        expected = 1000.0 * (df_hz**2).sum(axis=1)
        for k, agent in enumerate(grid.spec.agents):
            c, w = cost[agent.split("_")[0]]
            expected += c * np.abs(moved[:, k]) + 0.1 * w * moved[:, k] ** 2
        expected += 10_000.0 * frame.info["buses_outside"]
        np.testing.assert_allclose(frame.rewards[:, 0], -expected, rtol=1e-3)
        parts = sum(frame.info[f"reward_{p}"] for p in ("frequency", "control", "wear", "violation"))
        np.testing.assert_allclose(parts, frame.rewards[:, 0], rtol=1e-5)
    assert (frame.rewards == frame.rewards[:, :1]).all()


def test_more_generation_raises_frequency():
    grid = made(n_envs=1, **CALM)
    for direction in (1.0, -1.0):
        grid.reset(0)
        for _ in range(10):
            frame = grid.step(constant(grid, direction))
        assert direction * frame.info["mean_df_hz"][0] > 0.05


def test_applied_is_what_was_left_of_the_action_at_the_limits():
    grid = made(n_envs=1, **CALM)
    grid.reset(0)
    for _ in range(40):
        frame = grid.step(constant(grid, 1.0))
    assert frame.applied is not None
    assert frame.applied["battery_33"][0, 0] == 0.0  # full after 30 ticks
    assert frame.applied["gas_54"][0, 0] == pytest.approx(1.0)


def test_violations_within_a_tick_are_seen():
    """A swing that is over at the tick's end still counts."""
    large = {"contingency_rate": 0.2, "contingency_kinds": ["machine"], "contingency_mw": [250, 300]}
    grid = made(n_envs=8, **{**CALM, **large, "repair_s": [600, 600]})
    grid.reset(0)
    dipped = False
    for _ in range(20):
        frame = grid.step(constant(grid, 0.0))
        end = np.abs(frame.final_state[:, :68] if frame.final_state is not None else frame.state[:, :68]).max(
            axis=1
        )
        worst = frame.info["worst_df_hz"]
        assert (worst >= end * 0.1 - 1e-5).all()
        dipped |= bool(((worst > 0.5) & (end * 0.1 < 0.5)).any())
        assert ((frame.info["buses_outside"] > 0) == (worst > 0.5)).all()
    assert dipped


def test_an_episode_is_cut_at_its_length_and_begins_anew():
    grid = made(n_envs=2, episode_ticks=5)
    grid.reset(0)
    for tick in range(1, 11):
        frame = grid.step(constant(grid, 0.5))
        assert frame.truncated.all() == (tick % 5 == 0)
        assert not frame.terminated.any()
        if tick % 5 == 0:
            assert frame.final_state is not None
            assert frame.final_observations is not None
            assert not frame.state[:, :68].any()
            assert frame.final_state[:, :68].any()
            names = grid.spec.state_names
            assert frame.final_state[0, names.index("episode_progress")] == 1.0
            assert frame.state[0, names.index("episode_progress")] == 0.0


def test_a_bus_beyond_1_5_hz_ends_the_episode():
    grid = made(n_envs=2, governor_share=0.0, **CALM)
    grid.reset(0)
    for _ in range(100):
        rise = constant(grid, 0.0)
        for agent in rise:
            rise[agent][0] = 1.0
        frame = grid.step(rise)
        if frame.terminated[0]:
            break
    assert frame.terminated.tolist() == [True, False]
    assert not frame.truncated.any()
    assert frame.info["worst_df_hz"][0] > 1.5
    assert not frame.state[0, :68].any()


def test_same_seed_same_course():
    one, two = made(n_envs=3), made(n_envs=3, seed=5)
    assert same(one.reset(9), two.reset(9))
    rng = np.random.default_rng(0)
    for _ in range(60):
        action = drawn(one, rng)
        assert same(one.step(action), two.step(action))
    assert not same(one.reset(), one.reset(8))


def test_reset_without_seed_goes_on_to_other_episodes():
    grid = made()
    grid.reset(0)
    first = grid.step(constant(grid, 0.0))
    grid.reset()
    assert not same(first, grid.step(constant(grid, 0.0)))
    grid.reset(0)
    assert same(first, grid.step(constant(grid, 0.0)))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_is_done_to_one_copy_never_changes_another(seed: int):
    options = {"contingency_rate": 0.05, "governor_share": 0.1, "contingency_mw": [200, 300]}
    one, two = made(n_envs=4, **options), made(n_envs=4, **options)
    one.reset(seed)
    two.reset(seed)
    rng = np.random.default_rng(seed)
    for _ in range(40):  # long enough for copy 0 to end and begin anew in one grid, not in the other
        left = drawn(one, rng)
        right = {a: v.copy() for a, v in left.items()}
        for agent in left:
            left[agent][0], right[agent][0] = 1.0, -1.0
        assert same(one.step(left), two.step(right), slice(1, None))


def test_fallback_holds():
    grid = made(**CALM)
    first = grid.reset(0)
    frame = grid.step({a: grid.fallback(a) for a in grid.spec.agents})
    np.testing.assert_array_equal(first.state[:, 68:88], frame.state[:, 68:88])


@pytest.mark.parametrize("flow", ["linear", "sine"])
def test_both_flows_run_a_whole_stretch(flow: str):
    grid = made(flow=flow, contingency_rate=0.05)
    grid.reset(0)
    for _ in range(30):
        frame = grid.step(constant(grid, 0.0))
    assert np.isfinite(frame.rewards).all()
    assert frame.info["contingencies"].max() > 0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros((3, 1)), r"battery_33 has shape \(3, 1\), expected \(2, 1\)"),
        (np.zeros(2), r"battery_33 has shape \(2,\)"),
        (np.full((2, 1), 1.5), r"battery_33 is 1.5 in some copy, expected -1.0 to 1.0"),
        (np.full((2, 1), np.nan), r"battery_33 is nan"),
        (np.array([["a"], ["b"]]), r"battery_33 has type"),
    ],
)
def test_a_bad_action_is_refused_and_nothing_happens(action: np.ndarray, message: str):
    grid, twin = made(), made()
    grid.reset(0)
    twin.reset(0)
    with pytest.raises(ActionError, match=message):
        grid.step({**constant(grid, 0.0), "battery_33": action})
    assert same(grid.step(constant(grid, 0.0)), twin.step(constant(twin, 0.0)))


def test_missing_and_unknown_agents_are_named():
    grid = made()
    grid.reset(0)
    actions = constant(grid, 0.0)
    actions["solar_1"] = actions.pop("battery_33")
    with pytest.raises(ActionError, match=r"unknown agents \['solar_1'\] and none for \['battery_33'\]"):
        grid.step(actions)


def test_step_before_reset_is_refused():
    grid = made()
    with pytest.raises(RuntimeError, match="call reset"):
        grid.step(constant(grid, 0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"demand": 3500}, r"unknown options \['demand'\]; known are \['demand_mw'"),
        ({"demand_mw": -1.0}, r"'demand_mw' is -1.0, expected in \[100"),
        ({"demand_mw": "much"}, r"'demand_mw' is 'much', expected a finite number"),
        ({"governor_share": float("nan")}, r"'governor_share' is nan"),
        ({"flow": "ac"}, r"'flow' is 'ac', expected one of \['linear', 'sine'\]"),
        ({"episode_ticks": 1.5}, r"'episode_ticks' is 1.5, expected a whole number"),
        ({"ramp_mw": [300, 100]}, r"'ramp_mw' is \(300.0, 100.0\)"),
        ({"ramp_mw": [100]}, r"'ramp_mw' is \[100\], expected two numbers"),
        ({"ramp_mw": 100}, r"'ramp_mw' is 100, expected a list"),
        ({"contingency_kinds": ["storm"]}, r"'contingency_kinds' is \['storm'\]"),
        ({"soc_in_state": 1}, r"'soc_in_state' is 1, expected true or false"),
        ({"case": 3}, r"'case' is 3, expected a text"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, object], message: str):
    with pytest.raises(OptionError, match=message):
        made(**options)


def test_a_battery_that_runs_empty_stops_at_once_and_is_charged_for_it():
    """From 50 MW with 0.05 MWh: 28 kWh a tick at first, then what is left."""
    grid = made(1, **CALM, battery_mwh=0.1)
    grid.reset(0)
    frames = [grid.step(constant(grid, 0.0)) for _ in range(4)]
    ramp_mw = 50.0 * 2.0 / 60.0
    moved = [float(frame.applied["battery_33"][0, 0]) * ramp_mw for frame in frames]
    np.testing.assert_allclose(moved, [0.0, -10.0, -40.0, 0.0], atol=1e-3)  # the ramp is 1.7 MW
    charged = [-float(frame.info["reward_control"][0]) for frame in frames]
    np.testing.assert_allclose(charged, [5 * 5.0 * -mw for mw in moved], atol=0.1)  # five batteries, C = 5


def test_with_default_options_no_battery_runs_empty():
    options = Options()
    most_mwh = 100.0 * options.episode_ticks * 2.0 / 3600.0
    assert most_mwh < 28.0 < options.battery_soc * options.battery_mwh


def test_a_machine_loses_at_most_4_mw_more_than_it_gives_by_default():
    grid = made(1)
    least, most = grid.options.contingency_mw
    others = np.setdiff1d(np.arange(grid.system.n_machine), grid.fleet.machine)
    given = grid.system.machine_mw[others]
    beyond = most - given[(given >= least) & (given < most)]
    assert beyond.tolist() == pytest.approx([4.0], abs=0.1)  # machine 10 alone


def test_resolved_options_are_json():
    spec = made(ramp_mw=[50, 60]).spec
    assert spec.options["ramp_mw"] == [50.0, 60.0]
    assert set(spec.options) == set(Options().as_json())


def test_an_episode_has_its_picture():
    grid = made()
    grid.reset(0)
    empty = grid.render()
    for _ in range(20):
        grid.step(constant(grid, 0.0))
    drawn_png = grid.render()
    assert empty[:8] == drawn_png[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(drawn_png) > len(empty)
