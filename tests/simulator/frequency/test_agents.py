"""Agents merged by a partition, the usual SCADA delay, PettingZoo, and PI-AGC as the classical answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import simulator
from agents.baselines_frequency import FORECAST, TUNED, USUAL, Gains, PiAgc, pi_agc
from agents.errors import SettingsError
from simulator.errors import PartitionError
from simulator.frequency import family
from simulator.frequency.observe import FEATURES
from tests.agents.descriptions import view_in

UNITS = family.agent_names("frequency68")


def write(path: Path, clusters: dict[str, list[str]]) -> str:
    listed = [{"name": name, "variables": {"agent": units}} for name, units in clusters.items()]
    document = {"format": "gridchorus-partition/1", "environment": "frequency68", "clusters": listed}
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def halves(tmp_path: Path) -> str:
    return write(
        tmp_path / "halves.json", {"west": list(UNITS[12::-1]), "east": [UNITS[13]], "far": list(UNITS[14:])}
    )


def test_a_partition_merges_agents(halves: str):
    grid = family.make_grid("frequency68", 2, 0, partition=halves)
    spec = grid.spec
    assert spec.agents == ("west", "east", "far") == family.agent_names("frequency68", partition=halves)
    assert spec.observation_spaces["west"].shape == (13 * 15,)
    assert spec.action_spaces["west"].shape == (13,)
    assert spec.observation_names["west"][:2] == (f"{UNITS[12]}/own_df", f"{UNITS[12]}/own_load_change")
    assert spec.observation_names["east"] == tuple(name for name, _ in FEATURES)
    assert json.loads(spec.partition)["environment"] == "frequency68"
    assert all("west" in spec.neighbours[a] or a == "west" for a in spec.agents)


def test_merged_agents_act_on_the_same_grid(halves: str):
    alone = family.make_grid("frequency68", 2, 0)
    merged = family.make_grid("frequency68", 2, 0, partition=halves)
    alone.reset(0)
    merged.reset(0)
    rng = np.random.default_rng(0)
    order = {"west": UNITS[12::-1], "east": [UNITS[13]], "far": UNITS[14:]}
    for _ in range(5):
        single = {u: rng.uniform(-1, 1, (2, 1)) for u in UNITS}
        one = alone.step(single)
        two = merged.step({a: np.hstack([single[u] for u in units]) for a, units in order.items()})
    np.testing.assert_array_equal(one.state, two.state)
    np.testing.assert_array_equal(two.observations["west"][:, :15], one.observations[UNITS[12]])


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        ({"a": list(UNITS[1:])}, r"\['battery_33'\] in no cluster"),
        ({"a": [*UNITS, "solar_1"]}, r"units \['solar_1'\] are unknown"),
        ({"a": list(UNITS), "b": []}, r"clusters \['b'\] have none"),
    ],
)
def test_a_partition_that_does_not_fit_is_refused(
    tmp_path: Path, clusters: dict[str, list[str]], message: str
):
    path = write(tmp_path / "p.json", clusters)
    with pytest.raises(PartitionError, match=message):
        family.agent_names("frequency68", partition=path)


def test_measurements_are_two_ticks_old_by_default():
    calm = simulator.make("frequency68", n_envs=1, seed=0)
    bare = family.make_grid("frequency68", 1, 0)
    calm.reset(0)
    truth = [bare.reset(0)]
    hold = {a: np.zeros((1, 1), np.float32) for a in UNITS}
    for tick in range(1, 8):
        shown = calm.step(hold)
        truth.append(bare.step(hold))
        expected = truth[max(tick - 2, 0)].observations["gas_53"]
        np.testing.assert_array_equal(shown.observations["gas_53"], expected)
        np.testing.assert_array_equal(shown.state, truth[tick].state)


def test_a_link_of_ones_own_replaces_the_usual_one_as_a_whole():
    own = simulator.make("frequency68", n_envs=1, seed=0, scada={"default": {"measurement": {"loss": 0.0}}})
    bare = family.make_grid("frequency68", 1, 0)
    own.reset(0), bare.reset(0)
    hold = {a: np.zeros((1, 1), np.float32) for a in UNITS}
    for _ in range(4):
        shown, truth = own.step(hold), bare.step(hold)
        np.testing.assert_array_equal(shown.observations["gas_53"], truth.observations["gas_53"])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pettingzoo_accepts_it():
    parallel_api_test(simulator.parallel_env("frequency68", episode_ticks=30), num_cycles=100)
    parallel_seed_test(lambda: simulator.parallel_env("frequency68", episode_ticks=30), num_cycles=10)


def agc(spec: simulator.GridSpec, gains: Gains) -> dict[str, PiAgc]:
    units = {a: [name.removeprefix("ramp_") for name in spec.action_names[a]] for a in spec.agents}
    return {a: PiAgc(units[a], UNITS, spec.observation_names[a], spec.dt_s, gains) for a in spec.agents}


def played(world: simulator.World, gains: Gains | None, ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (E,) returns and (ticks, E) mean deviations in Hz."""
    frame, controllers = world.reset(3), agc(world.spec, gains) if gains else {}
    total, df = np.zeros(world.spec.n_envs), []
    for _ in range(ticks):
        if gains:
            actions = {a: controllers[a].act(frame.observations[a]) for a in world.spec.agents}
        else:
            actions = {a: np.zeros((world.spec.n_envs, 1), np.float32) for a in world.spec.agents}
        frame = world.step(actions)
        total += frame.rewards[:, 0]
        df.append(frame.info["mean_df_hz"])
    return total, np.array(df)


def test_frequency_returns_to_nominal_after_agc():
    quiet = {"load_sigma": 0.0, "common_sigma": 0.0, "trend_sigma": 0.0, "renewable_sigma_mw": 0.0,
             "contingency_rate": 0.0, "ramps_per_hour": 6.0, "ramp_mw": [200.0, 200.0]}  # fmt: skip
    world = simulator.make("frequency68", n_envs=8, seed=0, **quiet)
    df = played(world, USUAL, 400)[1]
    assert np.abs(df).max() > 0.05  # ramps were felt
    held = played(simulator.make("frequency68", n_envs=8, seed=0, **quiet), None, 400)[1]
    assert np.sqrt((df**2).mean()) < 0.4 * np.sqrt((held**2).mean())
    assert np.median(np.abs(df)) < 0.01


def test_a_forecast_that_is_fed_forward_halves_what_ramps_do():
    quiet = {"load_sigma": 0.0, "common_sigma": 0.0, "trend_sigma": 0.0, "renewable_sigma_mw": 0.0,
             "contingency_rate": 0.0, "ramps_per_hour": 6.0, "ramp_mw": [200.0, 200.0]}  # fmt: skip
    world = simulator.make("frequency68", n_envs=8, seed=0, **quiet)
    felt, foreseen = (np.sqrt((played(world, gains, 400)[1] ** 2).mean()) for gains in (TUNED, FORECAST))
    assert foreseen < 0.5 * felt


def test_a_forecast_is_acted_on_when_its_minute_is_over():
    """A minute is 30 ticks; two have passed on the link, and the command acts in the tick after."""
    names = [name for name, _ in FEATURES]
    unit = PiAgc(["battery_33"], UNITS, names, 2.0, Gains(0.0, 0.0, feedforward=1.0))
    seen = np.zeros((2, 15), np.float32)
    moved = []
    for tick in range(60):
        seen[0, names.index("renewable_forecast_1min")] = 1.0 if tick >= 5 else 0.0
        seen[1, names.index("renewable_forecast_1min")] = 1.0  # an episode begins on schedule
        seen[:, names.index("own_output")] = 0.5
        moved.append(unit.act(seen, starts=np.full(2, tick == 0))[:, 0])
    first, second = np.array(moved).T
    assert np.flatnonzero(first).tolist()[0] == 5 + 27
    assert (first <= 0).all()
    assert np.flatnonzero(second).tolist() == list(range(1, 28))
    assert np.ptp(second[1:28]) < 1e-6
    assert first.sum() == pytest.approx(second.sum())
    assert second.sum() * 50.0 / 30.0 == pytest.approx(-100.0 * unit.share[0])  # MW


def test_agc_beats_holding_by_far():
    world = simulator.make("frequency68", n_envs=8, seed=0)
    assert played(world, USUAL, 300)[0].mean() > 0.2 * played(world, None, 300)[0].mean()


def test_agc_is_the_same_for_merged_agents(halves: str):
    calm = {"ramps_per_hour": 30.0}
    alone = simulator.make("frequency68", n_envs=2, seed=0, **calm)
    merged = simulator.make("frequency68", n_envs=2, seed=0, partition=halves, **calm)
    np.testing.assert_allclose(played(alone, USUAL, 30)[0], played(merged, USUAL, 30)[0], rtol=1e-6)


def test_agc_shares_sum_up_to_one():
    names = [name for name, _ in FEATURES]
    for gains in (USUAL, Gains(50.0, 40.0, "fast")):
        shares = {u: PiAgc([u], UNITS, names, 2.0, gains).share[0] for u in UNITS}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert (shares["gas_53"] == 0.0) == (gains.participants == "fast")


def test_agc_is_made_from_the_description_of_an_agent(halves: str):
    for options, agent in (({}, "gas_53"), ({"partition": halves}, "west")):
        spec = family.make_grid("frequency68", 2, 0, **options).spec
        view = view_in(spec, agent)
        expected = agc(spec, TUNED)[agent]
        np.testing.assert_allclose(pi_agc(view).share, expected.share)
        assert pi_agc(view).act(np.zeros((2, len(view.feature_names)), np.float32)).shape == (
            2,
            len(expected.share),
        )


def test_agc_starts_afresh_with_the_episode():
    names = [name for name, _ in FEATURES]
    old, new = PiAgc(["gas_54"], UNITS, names, 2.0), PiAgc(["gas_54"], UNITS, names, 2.0)
    low = np.zeros((3, 15), np.float32)
    low[:, names.index("mean_df")], low[:, names.index("own_output")] = -1.0, 2.0
    for _ in range(20):
        old.act(low)
    again = old.act(low, starts=np.array([True, False, True]))
    first = new.act(low)
    np.testing.assert_array_equal(again[[0, 2]], first[[0, 2]])
    assert again[1, 0] != first[1, 0]


def test_agc_does_not_wind_up():
    """After a long unreachable demand it turns round at once."""
    names = [name for name, _ in FEATURES]
    unit = PiAgc(["battery_33"], UNITS, names, 2.0, USUAL)
    seen = np.zeros((1, 15), np.float32)
    seen[:, names.index("mean_df")], seen[:, names.index("own_output")] = -10.0, 0.5
    for _ in range(300):
        unit.act(seen)
    seen[:, names.index("mean_df")] = 10.0
    assert unit.act(seen)[0, 0] == -1.0


def test_agc_refuses_other_grids():
    with pytest.raises(SettingsError, match="frequency68"):
        PiAgc(["battery_33"], UNITS, ["voltage"], 2.0)
    with pytest.raises(SettingsError, match="dg_1 is of no known kind"):
        PiAgc(["dg_1"], ["dg_1"], ["mean_df", "own_output"], 0.05)
