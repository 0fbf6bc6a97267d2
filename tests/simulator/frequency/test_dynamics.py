"""The physics obeys its laws, and agrees with an integration of the whole network."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from simulator.frequency import case68, dynamics
from simulator.frequency.case_files import DATA
from simulator.frequency.types import System

LINEAR, SINE = case68.system(), case68.system(flow="sine")  # the latter in steps of 10 ms
BOTH = pytest.mark.parametrize("system", [LINEAR, SINE], ids=["linear", "sine"])
STIFFNESS_MW_PER_HZ = (0.6 * 1.2 * 140.26 / 0.05 + 182.339) * 19.195 / 60.0  # governors 9 to 16, load damping


def step_at(bus: int, mw: float, n_envs: int = 1) -> np.ndarray:
    p_bus = np.zeros((n_envs, 68))
    p_bus[:, bus - 1] = mw
    return p_bus


def trajectory(system: System, p_bus: np.ndarray, seconds: float, dt_s: float = 0.02) -> np.ndarray:
    """Return (n_steps, E, 68) bus frequencies in Hz."""
    state, seen = dynamics.init(system, len(p_bus)), []
    for _ in range(round(seconds / dt_s)):
        state = dynamics.step(system, state, p_bus, dt_s)
        seen.append(dynamics.bus_frequency(system, state))
    return np.array(seen)


@pytest.mark.parametrize(("system", "dt_s"), [(LINEAR, 2.0), (SINE, 0.2)], ids=["linear", "sine"])
def test_equilibrium_stays_for_a_thousand_ticks(system: System, dt_s: float):
    state, calm = dynamics.init(system, 2), np.zeros((2, 68))
    for _ in range(1000):
        state = dynamics.step(system, state, calm, dt_s)
    assert np.abs(dynamics.bus_frequency(system, state) - 60.0).max() < 1e-9
    assert np.abs(state.delta).max() < 1e-9


def test_a_100_mw_step_settles_where_the_droop_says():
    p_bus = step_at(16, -100.0)
    state = dynamics.step(LINEAR, dynamics.init(LINEAR, 1), p_bus, 300.0)
    settled = dynamics.bus_frequency(LINEAR, state) - 60.0
    np.testing.assert_allclose(settled, -100.0 / STIFFNESS_MW_PER_HZ, rtol=0.01)


def test_the_sine_flow_settles_at_the_same_frequency():
    hz = trajectory(SINE, step_at(16, -100.0), 200.0)[-2500:].mean(axis=0) - 60.0
    np.testing.assert_allclose(hz, -100.0 / STIFFNESS_MW_PER_HZ, rtol=0.01)


@BOTH
@settings(max_examples=15, deadline=None)
@given(
    bus=st.integers(1, 68),
    mw=st.floats(-150, 150),
    seconds=st.floats(0.1, 5.0),
    branch=st.sampled_from([-1, 2, 50]),
)
def test_power_balances_at_every_moment(system: System, bus: int, mw: float, seconds: float, branch: int):
    p_bus = step_at(bus, mw)
    state = replace(dynamics.init(system, 1), branch_out=np.array([branch]))
    state = dynamics.step(system, state, p_bus, seconds)
    generated = dynamics.electrical_power(system, state, p_bus).sum()
    assert generated == pytest.approx(-mw, abs=1e-6)


def test_kinetic_energy_comes_from_the_imbalance():
    h, p_bus = 1e-3, step_at(20, -80.0)
    state = dynamics.step(LINEAR, dynamics.init(LINEAR, 1), p_bus, 1.0)
    later = dynamics.step(LINEAR, state, p_bus, h)
    speeding = 2.0 * LINEAR.inertia_s @ (later.omega - state.omega)[0] / h * LINEAR.base_mva
    governors, damping = state.governor.sum(), LINEAR.damping @ state.omega[0]
    imbalance = -80.0 + (governors - damping) * LINEAR.base_mva
    assert speeding == pytest.approx(imbalance, rel=2e-2)


def test_modes_between_areas_are_where_this_system_is_known_for():
    found = dynamics.modes(LINEAR)
    assert len(found) == 15
    assert all(0.3 < mode.frequency_hz < 2.0 and mode.damping_ratio > 0 for mode in found)
    assert sum(mode.frequency_hz < 0.9 for mode in found) == 4  # four modes between the five areas
    slowest = found[0].shape
    assert np.real(slowest[15]) * np.real(slowest[0]) < 0  # New York's west swings against New England


def test_a_mode_is_seen_in_time():
    mode = dynamics.modes(LINEAR)[0]
    swing = replace(dynamics.init(LINEAR, 1), omega=1e-3 * np.real(mode.shape)[None])
    coarse = dynamics.advance(LINEAR, swing, np.zeros((1, 68)), 20.0, n_instants=2000)[1][0, :, 15]
    crossings = np.flatnonzero(np.diff(np.sign(coarse))) * 0.01
    assert 0.5 / np.diff(crossings).mean() == pytest.approx(mode.frequency_hz, rel=0.03)


def test_one_long_step_is_many_short_ones():
    p_bus = step_at(8, -60.0)
    once, path = dynamics.advance(LINEAR, dynamics.init(LINEAR, 1), p_bus, 2.0, n_instants=100)
    state = dynamics.init(LINEAR, 1)
    for k in range(100):
        state = dynamics.step(LINEAR, state, p_bus, 0.02)
        np.testing.assert_allclose(path[:, k], state.omega, atol=1e-13)
    np.testing.assert_allclose(once.delta, state.delta, atol=1e-11)


def test_halving_the_step_leaves_the_nadir():
    loss = step_at(16, -100.0)
    nadirs = [
        trajectory(case68.system(flow="sine", integration_step_s=h), loss, 8.0).min() - 60.0
        for h in (0.02, 0.01)
    ]
    assert nadirs[0] == pytest.approx(nadirs[1], rel=0.005)
    linear = [trajectory(LINEAR, loss, 8.0, h).min() - 60.0 for h in (0.02, 0.01)]
    assert linear[0] == pytest.approx(linear[1], rel=0.005)


def test_flows_agree_for_small_disturbances():
    """Without transfers the sine's slope is that of the linear flow, and the gap has the third power."""
    flat = replace(SINE, delta0=np.zeros(16), integration_step_s=0.001, cache={})
    gaps = []
    for mw in (-2.0, -20.0):
        linear = trajectory(LINEAR, step_at(16, mw), 4.0) - 60.0
        gap = trajectory(flat, step_at(16, mw), 4.0) - 60.0 - linear
        gaps.append(np.abs(gap).max() / np.abs(linear).max())
    assert gaps[0] < 1e-4
    assert gaps[1] == pytest.approx(100.0 * gaps[0], rel=0.3)


def test_flows_agree_on_the_frequency_of_inertia_under_the_schedule():
    """Transfers soften the ties (cos δ0 < 1), which changes swings but hardly their centre."""
    nadirs = []
    for system in (LINEAR, SINE):
        loss = step_at(16, -10.0)
        path = dynamics.advance(system, dynamics.init(system, 1), loss, 8.0, n_instants=400)[1][0]
        nadirs.append((path @ system.inertia_s).min() / system.inertia_s.sum())
    assert nadirs[0] == pytest.approx(nadirs[1], rel=0.01)


def test_sine_flow_swings_at_its_own_modes():
    mode = dynamics.modes(SINE)[0]
    assert mode.frequency_hz < dynamics.modes(LINEAR)[0].frequency_hz
    small = replace(dynamics.init(SINE, 1), omega=1e-5 * np.real(mode.shape)[None])
    speed = dynamics.advance(SINE, small, np.zeros((1, 68)), 20.0, n_instants=2000)[1][0, :, 15]
    crossings = np.flatnonzero(np.diff(np.sign(speed))) * 0.01
    assert 0.5 / np.diff(crossings).mean() == pytest.approx(mode.frequency_hz, rel=0.02)


def test_a_branch_that_opens_moves_power_but_not_the_mean():
    state = replace(dynamics.init(LINEAR, 1), branch_out=np.array([0]))
    swung = [
        dynamics.bus_frequency(LINEAR, dynamics.step(LINEAR, state, np.zeros((1, 68)), t))
        for t in (0.5, 300.0)
    ]
    assert np.abs(swung[0] - 60.0).max() > 1e-3
    np.testing.assert_allclose(swung[1], 60.0, atol=1e-3)


def test_an_open_branch_and_its_flow_taken_away_are_the_same_at_first():
    """Opening a branch is injecting its flow at both ends into the network without it."""
    case, k = LINEAR.case, 0
    i, j = case.branch_from[k], case.branch_to[k]
    seen = LINEAR.machine_b[None, :] * np.eye(68)[:, case.machine_bus]
    grounded = np.diag(LINEAR.machine_b @ np.eye(68)[case.machine_bus])
    for a, b, y in zip(case.branch_from, case.branch_to, LINEAR.branch_b, strict=True):
        grounded[[a, b], [a, b]] += y
        grounded[[a, b], [b, a]] -= y
    theta = np.linalg.solve(grounded, seen @ LINEAR.delta0 - LINEAR.load_mw / LINEAR.base_mva)
    flow_mw = LINEAR.branch_b[k] * (theta[i] - theta[j]) * LINEAR.base_mva
    thin = replace(LINEAR, branch_b=np.where(np.arange(86) == k, 0.0, LINEAR.branch_b), cache={})
    p_bus = np.zeros((1, 68))
    p_bus[0, i], p_bus[0, j] = flow_mw, -flow_mw
    opened = replace(dynamics.init(LINEAR, 1), branch_out=np.array([k]))
    one = dynamics.step(LINEAR, opened, np.zeros((1, 68)), 1.0)
    two = dynamics.step(thin, dynamics.init(thin, 1), p_bus, 1.0)
    np.testing.assert_allclose(one.omega, two.omega, atol=1e-12)


@pytest.mark.parametrize("flow", ["linear", "sine"])
def test_whole_network_integrated_independently_gives_the_same(flow: str):
    """Read the tables again, keep all 68 buses as algebraic equations, and use another integrator."""
    system = LINEAR if flow == "linear" else SINE
    bus, load_mw = 20, 100.0
    hz = trajectory(system, step_at(bus, -load_mw), 10.0)[:, 0]
    reference = _reference_linear(bus, -load_mw) if flow == "linear" else _reference_sine(bus, -load_mw)
    np.testing.assert_allclose(hz, reference, atol=2e-6 if flow == "linear" else 2e-3)
    assert hz.min() - 60.0 == pytest.approx(reference.min() - 60.0, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 67), (2, 68), (68,)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"expected \(1, 68\)"):
        dynamics.step(LINEAR, dynamics.init(LINEAR, 1), np.zeros(shape), 2.0)


def test_a_step_back_in_time_is_refused():
    with pytest.raises(ValueError, match="expected both > 0"):
        dynamics.step(LINEAR, dynamics.init(LINEAR, 1), np.zeros((1, 68)), -1.0)


def _rows(name: str) -> list[dict[str, float]]:
    with (DATA / name).open() as file:
        return [{k: float(v) for k, v in r.items() if k != "type"} for r in csv.DictReader(file)]


def _tables() -> tuple[np.ndarray, ...]:
    buses, branches, machines = _rows("bus.csv"), _rows("branch.csv"), _rows("machine.csv")
    lap = np.zeros((84, 84))
    wires = [(int(r["from_bus"]) - 1, int(r["to_bus"]) - 1, 1 / r["x_pu"] / r["tap_ratio"]) for r in branches]
    scale = np.array([r["mva_base"] / 100 for r in machines])
    wires += [(int(r["bus"]) - 1, 68 + k, scale[k] / r["xd_transient_pu"]) for k, r in enumerate(machines)]
    for i, j, b in wires:
        lap[i, i] += b
        lap[j, j] += b
        lap[i, j] -= b
        lap[j, i] -= b
    load = np.array([r["p_load_pu"] for r in buses])
    power = np.array([buses[int(r["bus"]) - 1]["p_gen_pu"] for r in machines])
    return lap, load, power, np.array([r["h_s"] for r in machines]) * scale


def _integrate(force, damping, power, inertia) -> np.ndarray:
    droop = np.where(np.arange(16) >= 8, 0.6 * 1.2 * power / 0.05, 0.0)

    def rate(_: float, x: np.ndarray) -> np.ndarray:
        delta, omega, governor = x.reshape(3, 16)
        accelerating = governor + force(delta) - damping * omega
        return np.concatenate(
            [2 * np.pi * 60 * omega, accelerating / (2 * inertia), (-droop * omega - governor) / 5]
        )

    times = 0.02 * np.arange(1, 501)
    solved = solve_ivp(rate, (0, 10), np.zeros(48), "DOP853", times, rtol=1e-9, atol=1e-12)
    return solved.y.reshape(3, 16, -1)[1].T


def _reference_linear(bus: int, mw: float) -> np.ndarray:
    lap, load, power, inertia = _tables()
    injected = np.zeros(68)
    injected[bus - 1] = mw / (3500 / load.sum())
    weights = -np.linalg.solve(lap[:68, :68], lap[:68, 68:])

    def force(delta: np.ndarray) -> np.ndarray:
        theta = np.linalg.solve(lap[:68, :68], injected - lap[:68, 68:] @ delta)
        return -(lap[68:, :68] @ theta + lap[68:, 68:] @ delta)

    speeds = _integrate(force, weights.T @ load, power, inertia)
    return 60 * (1 + speeds @ weights.T)


def _reference_sine(bus: int, mw: float) -> np.ndarray:
    lap, load, power, inertia = _tables()
    weights = -np.linalg.solve(lap[:68, :68], lap[:68, 68:])
    reduced = lap[68:, 68:] + lap[68:, :68] @ weights
    pushed = mw / (3500 / load.sum()) * weights[bus - 1]

    def flow(delta: np.ndarray) -> np.ndarray:
        between = delta[:, None] - delta[None, :]
        return (-reduced * np.sin(between)).sum(axis=1)

    rest = flow(SINE.delta0)
    speeds = _integrate(lambda d: pushed + rest - flow(SINE.delta0 + d), weights.T @ load, power, inertia)
    return 60 * (1 + speeds @ weights.T)
