"""What happens to the grid has the sizes it is said to have, and depends on nothing but the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.frequency import case68
from simulator.frequency.disturbances import Disturbances, ramp_path
from simulator.frequency.options import Options

SYSTEM = case68.system()
FLEET = case68.fleet(SYSTEM.case, SYSTEM.base_mva)
CALM = {"load_sigma": 0.0, "common_sigma": 0.0, "trend_sigma": 0.0, "renewable_sigma_mw": 0.0,
        "ramps_per_hour": 0.0, "contingency_rate": 0.0}  # fmt: skip


def started(n_envs: int = 8, seed: int = 0, **options: object) -> Disturbances:
    around = Disturbances(SYSTEM, FLEET, Options(**options), n_envs, 2.0)  # type: ignore[arg-type]
    around.start(np.ones(n_envs, bool), seed, np.zeros(n_envs, np.int64))
    return around


def run(around: Disturbances, ticks: int, name: str) -> np.ndarray:
    seen = []
    for _ in range(ticks):
        around.advance()
        seen.append(np.copy(getattr(around, name)))
    return np.array(seen)


def test_an_episode_begins_on_the_schedule():
    around = started()
    np.testing.assert_array_equal(around.load_mw, np.tile(SYSTEM.load_mw, (8, 1)))
    np.testing.assert_array_equal(around.renewable_mw, around.renewable_mean_mw)


def test_bus_loads_wander_by_the_share_asked_for():
    around = started(n_envs=64, **{**CALM, "load_sigma": 0.024})
    relative = run(around, 500, "load_mw")[250:, :, 36] / SYSTEM.load_mw[36] - 1.0
    assert relative.std() == pytest.approx(0.024, rel=0.15)


def test_common_noise_moves_all_loads_together():
    relative = (
        run(started(**{**CALM, "common_sigma": 0.006}), 50, "load_mw")[:, :, [3, 36]]
        / SYSTEM.load_mw[[3, 36]]
    )
    np.testing.assert_allclose(relative[:, :, 0], relative[:, :, 1])


def test_the_trend_is_a_straight_line():
    total = run(started(**{**CALM, "trend_sigma": 0.01}), 500, "load_mw").sum(axis=2) / 3500.0 - 1.0
    np.testing.assert_allclose(np.diff(total, n=2, axis=0), 0.0, atol=1e-12)
    assert 0.002 < np.abs(total[-1]).mean() < 0.02


def test_noise_forgets_within_its_time_constant():
    around = started(n_envs=256, **{**CALM, "load_sigma": 0.024})
    relative = run(around, 500, "load_mw")[:, :, 36] / SYSTEM.load_mw[36] - 1.0
    correlation = (relative[300] * relative[450]).mean() / (relative[300] ** 2).mean()
    assert correlation == pytest.approx(np.exp(-1.0), abs=0.2)


def test_renewables_start_at_a_mean_of_their_episode_within_30_to_70_mw():
    mean = started(n_envs=64).renewable_mean_mw
    assert ((mean >= 30.0) & (mean <= 70.0)).all()
    assert mean.std() == pytest.approx(40.0 / np.sqrt(12.0), rel=0.1)


def test_renewable_share_scales_the_fleet():
    half = started(n_envs=64, renewable_share=0.1)
    assert half.renewable_mean_mw.mean() == pytest.approx(25.0, rel=0.1)
    assert started(renewable_share=0.0).renewable_mean_mw.sum() == 0.0


def test_ramps_come_nine_an_hour_and_stay_within_300_mw():
    rng = np.random.default_rng(0)
    paths = np.array([ramp_path(rng, Options(), 501, 2.0) for _ in range(200)])
    assert np.abs(paths).max() <= 300.0
    assert not paths[:, 0].any()
    moving = np.abs(np.diff(paths)) > 0
    begun = (np.diff(moving.astype(int), axis=1) == 1).sum() / (200 * 1000.0)
    assert begun == pytest.approx(1 / 400.0, rel=0.25)  # some overlap, some are cut off at the limit
    assert np.abs(np.diff(paths)).max() < 2 * (300.0 * np.pi / 2 / 60.0 * 2.0)  # two of the steepest at once


def test_a_ramp_takes_one_to_two_minutes_and_100_to_300_mw():
    rng = np.random.default_rng(1)
    rare = [ramp_path(rng, Options(ramps_per_hour=1.0), 501, 2.0) for _ in range(200)]
    single = [p for p in rare if (np.diff((np.diff(p) != 0).astype(int)) == 1).sum() == 1 and p[-1] == p[-60]]
    assert len(single) > 10
    for path in single:
        assert 58.0 <= 2.0 * (np.diff(path) != 0).sum() <= 124.0
        assert 100.0 <= abs(path[-1]) <= 300.0


def test_no_ramps_if_none_are_asked_for():
    assert not ramp_path(np.random.default_rng(0), Options(ramps_per_hour=0.0), 100, 2.0).any()


def test_forecasts_are_of_the_fleets_ramp_ahead():
    around = started(**{**CALM, "ramps_per_hour": 40.0}, forecast_error=0.0)
    forecasts, fleet = [], []
    for _ in range(400):
        around.advance()
        forecasts.append(around.forecast_mw.copy())
        fleet.append((around.renewable_mw - around.renewable_mean_mw).sum(axis=1))
    for k in range(5):
        lead = 30 * (k + 1)
        np.testing.assert_allclose(np.array(forecasts)[:-lead, :, k], np.array(fleet)[lead:], atol=25.0)
        assert (
            np.corrcoef(np.array(forecasts)[:-lead, :, k].ravel(), np.array(fleet)[lead:].ravel())[0, 1]
            > 0.99
        )


@pytest.mark.parametrize("sites", [0, 1, 7])
def test_ramps_are_a_share_of_the_fleet_however_many_renewables_it_has(sites: int):
    fleet = replace(FLEET, renewable_bus=FLEET.renewable_bus[:sites])
    forecasts = []
    for which in (FLEET, fleet):
        around = Disturbances(
            SYSTEM, which, Options(**CALM | {"ramps_per_hour": 40.0}, forecast_error=0.0), 8, 2.0
        )
        around.start(np.ones(8, bool), 0, np.zeros(8, np.int64))
        forecasts.append(run(around, 400, "forecast_mw"))
    everywhere, there = (np.abs(forecast).max() for forecast in forecasts)
    assert everywhere <= 300.0
    assert 100.0 <= there <= 300.0 if sites else there == 0.0


def test_forecast_errors_are_ten_percent_and_correlated():
    exact = started(n_envs=128, forecast_error=0.0, ramps_per_hour=60.0)
    noisy = started(n_envs=128, ramps_per_hour=60.0)
    truth, seen = run(exact, 200, "forecast_mw"), run(noisy, 200, "forecast_mw")
    clear = np.abs(truth) > 30.0
    error = np.where(clear, seen / np.where(clear, truth, 1.0) - 1.0, np.nan)
    assert np.nanstd(error) == pytest.approx(0.1, rel=0.15)
    both = np.isfinite(error[..., 0]) & np.isfinite(error[..., 1])
    assert np.corrcoef(error[..., 0][both], error[..., 1][both])[0, 1] > 0.6
    soon = np.isfinite(error[:-1, :, 0]) & np.isfinite(error[1:, :, 0])
    assert np.corrcoef(error[:-1, :, 0][soon], error[1:, :, 0][soon])[0, 1] > 0.95


@pytest.mark.parametrize("kind", ["machine", "branch", "load"])
def test_a_contingency_comes_takes_its_share_and_is_repaired(kind: str):
    around = started(
        n_envs=32, **{**CALM, "contingency_rate": 0.02}, contingency_kinds=[kind], repair_s=[20.0, 60.0]
    )
    machine, load, branch, active = [], [], [], []
    for _ in range(400):
        around.advance()
        machine.append(around.machine_lost_mw.copy())
        load.append(SYSTEM.load_mw - around.load_mw)
        branch.append(around.branch_out.copy())
        active.append(around.active.copy())
    lost = {"machine": np.array(machine), "load": np.array(load)}
    for name, mw in lost.items():
        hit = mw[mw > 1e-9]
        assert (hit.size > 0) == (name == kind)
        assert ((hit >= 60.0 - 1e-9) & (hit <= 100.0 + 1e-9)).all()
    assert (np.array(branch) >= 0).any() == (kind == "branch")
    assert not lost["machine"][:, :, :8].any()  # machines that agents run are spared
    counts = np.array(active)
    assert counts.max() >= 1
    assert 0.1 < (counts > 0).mean() < 0.6  # 0.02 per tick for about 20 ticks each


def test_contingencies_come_at_their_rate():
    around = started(n_envs=256, contingency_rate=0.01, repair_s=[2.0, 2.0])
    assert (run(around, 200, "active") > 0).mean() == pytest.approx(0.01, rel=0.3)


def test_no_contingency_without_a_kind():
    assert not run(started(contingency_rate=1.0, contingency_kinds=[]), 20, "active").any()


def test_a_copy_has_the_same_fate_in_any_company():
    few, many = started(n_envs=2), started(n_envs=16)
    np.testing.assert_array_equal(run(few, 70, "load_mw"), run(many, 70, "load_mw")[:, :2])


def test_an_episode_depends_on_seed_copy_and_number_alone():
    once, again = started(), started()
    run(once, 40, "load_mw")
    for around, copies in ((once, np.arange(8) == 3), (again, np.arange(8) == 3)):
        around.start(copies, 0, np.full(8, 7))
    a, b = run(once, 40, "load_mw"), run(again, 40, "load_mw")
    np.testing.assert_array_equal(a[:, 3], b[:, 3])
    assert not np.array_equal(a[:, 3], a[:, 4])


def test_another_seed_is_another_world():
    assert not np.array_equal(run(started(seed=0), 3, "load_mw"), run(started(seed=1), 3, "load_mw"))


def test_the_clock_goes_on():
    around = started()
    first = around.hour.copy()
    run(around, 450, "hour")
    np.testing.assert_allclose((around.hour - first) % 24.0, 0.25)
    assert ((around.day >= 0) & (around.day <= 6)).all()
