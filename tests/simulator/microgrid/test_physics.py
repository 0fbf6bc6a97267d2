"""Laws that hold in every microgrid: Kirchhoff, energy, sharing, restoration of frequency."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.errors import ActionError
from simulator.microgrid import cases, dynamics
from simulator.microgrid.case_files import Case, read_case
from simulator.microgrid.observe import dg_features

SYSTEMS = {"microgrid6": cases.microgrid6, "microgrid20": cases.microgrid20, "ring7": lambda: cases.ring(7)}


def inputs(system, n_envs=1, volts=510.0):
    ones = np.ones((n_envs, system.n_load))
    return np.full((n_envs, system.n_dg), volts), ones, ones.copy()


def settled(system, volts=510.0, ticks=200, **options):
    state = dynamics.step(
        system, dynamics.init(system, 1), *inputs(system, volts=volts), 0.4, secondary=False
    )
    for _ in range(ticks):
        state = dynamics.step(system, state, *inputs(system, volts=volts), **options)
    return state


def moving(system, n_envs=3, fidelity="standard"):
    """Return copies in the middle of a transient, and the inputs that led there."""
    rng = np.random.default_rng(1)
    state = dynamics.init(system, n_envs)
    for _ in range(4):
        volts = rng.uniform(system.v_min, system.v_max, (n_envs, system.n_dg))
        scales = rng.uniform(0.8, 1.2, (2, n_envs, system.n_load))
        state = dynamics.step(system, state, volts, *scales, fidelity=fidelity)
    return state, volts, *scales


def incidence(system):
    """Return (n_branch, n_bus): +1 where a branch's current enters a bus, -1 where it leaves."""
    n_dg, n_line = system.n_dg, len(system.line_bus)
    matrix = np.zeros((len(system.r), system.n_bus))
    matrix[np.arange(n_dg), system.dg_bus] = 1
    lines = n_dg + np.arange(n_line)
    matrix[lines, system.line_bus[:, 0]] = -1
    matrix[lines, system.line_bus[:, 1]] = 1
    matrix[n_dg + n_line + np.arange(system.n_load), system.load_bus] = -1
    return matrix


def branch_values(system, r_scale, l_scale):
    r, l = np.tile(system.r, (len(r_scale), 1)), np.tile(system.l, (len(l_scale), 1))  # noqa: E741
    r[:, -system.n_load :] += system.load_r * r_scale
    l[:, -system.n_load :] += system.load_l * l_scale
    return r, l


@pytest.mark.parametrize("fidelity", ["phasor", "standard", "full"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_currents_add_up_to_zero_at_every_bus(name, fidelity):
    system = SYSTEMS[name]()
    state, *_ = moving(system, fidelity=fidelity)
    assert np.abs(state.current @ incidence(system)).max() < 1e-9 * np.abs(state.current).max()


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_the_dgs_give_is_lost_in_resistances_or_stored_in_inductances(name):
    system = SYSTEMS[name]()
    state, volts, r_scale, l_scale = moving(system)
    r, l = branch_values(system, r_scale, l_scale)  # noqa: E741
    v_o = (volts - system.control.n_q * state.q) * np.exp(1j * state.delta)
    across = -state.v_bus @ incidence(system).T
    across[:, : system.n_dg] += v_o
    stored = np.real((across - r * state.current) * np.conj(state.current)).sum(axis=1)  # of L di/dt
    lost = (r * np.abs(state.current) ** 2).sum(axis=1)
    given = np.real(v_o * np.conj(state.current[:, : system.n_dg])).sum(axis=1)
    np.testing.assert_allclose(given, lost + stored, rtol=1e-9)
    assert np.all(np.abs(stored) > 1e-6 * given)  # a transient: the balance needs its stored part
    assert np.all(l > 0)


@pytest.mark.parametrize("fidelity", ["phasor", "standard"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_settled_grid_solves_the_phasor_equations(name, fidelity):
    system = SYSTEMS[name]()
    state = settled(system, fidelity=fidelity)
    r, l = branch_values(system, *inputs(system)[1:])  # noqa: E741
    omega = state.omega_set[0, 0] - system.control.m_p[0] * state.p[0, 0]
    y = 1.0 / (r[0] + 1j * omega * l[0])
    around = incidence(system)
    emf = np.zeros(len(y), complex)
    emf[: system.n_dg] = (510.0 - system.control.n_q * state.q[0]) * np.exp(1j * state.delta[0])
    v = np.linalg.solve(around.T @ (y[:, None] * around), around.T @ (y * emf))
    np.testing.assert_allclose(state.v_bus[0], v, rtol=1e-9)
    s = emf[: system.n_dg] * np.conj(y * (emf - around @ v))[: system.n_dg]
    np.testing.assert_allclose(state.p[0] + 1j * state.q[0], s, rtol=1e-8)


@pytest.mark.parametrize("name", SYSTEMS)
def test_consensus_restores_frequency_and_droop_alone_does_not(name):
    system = SYSTEMS[name]()
    control = system.control
    with_it, without = settled(system), settled(system, secondary=False)
    omega = with_it.omega_set - control.m_p * with_it.p
    np.testing.assert_allclose(omega, control.omega_ref, rtol=1e-9)
    assert np.all(without.omega_set - control.m_p * without.p < control.omega_ref - 1.0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_active_power_is_shared_in_proportion_to_the_droop(name):
    system = SYSTEMS[name]()
    burden = system.control.m_p * settled(system).p[0]
    np.testing.assert_allclose(burden, burden[0], rtol=1e-6)


def test_two_equal_dgs_at_one_bus_share_all_power_equally():
    like = read_case(cases.DATA / "microgrid6")
    dg = {name: np.append(values, values[-1]) for name, values in like.dg.items()}
    dg["dg"] = np.arange(1.0, 8.0)
    comm = {
        "dg": np.append(like.comm["dg"], [7.0, 6.0]),
        "hears": np.append(like.comm["hears"], [6.0, 7.0]),
        "weight": np.append(like.comm["weight"], [6.0, 6.0]),
    }
    system = cases.system(Case("twin", like.constants, dg, like.line, like.load, comm))
    state = settled(system)
    np.testing.assert_allclose(state.p[0, 5], state.p[0, 6], rtol=1e-7)
    np.testing.assert_allclose(state.q[0, 5], state.q[0, 6], rtol=1e-7)


def test_in_an_even_ring_every_dg_gives_the_same():
    like = read_case(cases.DATA / "microgrid20")
    n = np.arange(1.0, 5.0)
    same = np.ones(4)
    case = Case(
        "even", like.constants,
        {"dg": n, "bus": n, "m_p_rad_s_per_w": 1e-4 * same, "n_q_v_per_var": 1e-3 * same},
        {"from_bus": n, "to_bus": np.roll(n, -1), "r_ohm": 0.2 * same, "l_h": 1e-3 * same},
        {"bus": n, "r_ohm": 3 * same, "l_h": 2e-3 * same, "feeder_r_ohm": 0 * same, "feeder_l_h": 0 * same},
        {"dg": np.r_[n, np.roll(n, -1)], "hears": np.r_[np.roll(n, -1), n], "weight": np.full(8, 60.0)},
    )  # fmt: skip
    system = cases.system(case)
    state = dynamics.step(system, dynamics.init(system, 1), *inputs(system), 0.4, secondary=False)
    for quantity in (state.p, state.q, np.abs(state.v_bus)):
        np.testing.assert_allclose(quantity, quantity[:, :1] * np.ones((1, 4)), rtol=1e-12)
    np.testing.assert_allclose(state.delta, 0.0, atol=1e-12)


def test_halving_the_step_divides_the_error_by_four():
    system = cases.microgrid20()
    rng = np.random.default_rng(5)
    start = settled(system, ticks=1)
    volts = rng.uniform(490.0, 540.0, (1, system.n_dg))
    args = (volts, *inputs(system)[1:])

    def after(h_ms, total_ms=12):
        state = start
        for _ in range(round(total_ms / h_ms)):
            state = dynamics.step(system, state, *args, h_ms / 1e3)
        return state.delta

    fine = after(0.0625)
    coarse, half = np.abs(after(1.0) - fine).max(), np.abs(after(0.5) - fine).max()
    assert 3.0 < coarse / half < 5.5


def test_a_higher_setpoint_raises_every_bus_and_a_heavier_load_lowers_it():
    system = cases.microgrid6()
    volts, ones, _ = inputs(system)
    start = dynamics.init(system, 1)

    def v(volts, scale):
        return dynamics.bus_voltage(
            system, dynamics.step(system, start, volts, scale * ones, scale * ones, 0.4, secondary=False)
        )

    assert np.all(v(volts + 20.0, 1.0) > v(volts, 1.0))
    assert np.all(v(volts, 0.8) < v(volts, 1.0))


def test_features_of_a_dg_are_its_own_power_and_the_balance_of_its_bus():
    system = cases.microgrid20()
    state = settled(system)
    seen = dict(zip(("delta", "p", "q", "i_od", "i_oq", "i_bd", "i_bq", "v_bd", "v_bq"),
                    np.moveaxis(dg_features(system, state), 2, 0), strict=True))  # fmt: skip
    v_o = 510.0 - system.control.n_q * state.q
    np.testing.assert_allclose(v_o * seen["i_od"], seen["p"], rtol=1e-7)
    np.testing.assert_allclose(-v_o * seen["i_oq"], seen["q"], rtol=1e-7)
    v_b = seen["v_bd"] + 1j * seen["v_bq"]
    np.testing.assert_allclose(np.abs(v_b)[0], np.abs(state.v_bus[0, system.dg_bus]))
    sent = np.real(v_b * np.conj(seen["i_bd"] + 1j * seen["i_bq"])).sum()
    loss = (system.r[20:40] * np.abs(state.current[0, 20:40]) ** 2).sum()
    np.testing.assert_allclose(sent, loss, rtol=1e-6)


def test_a_copy_that_fails_does_not_touch_the_others():
    system = cases.microgrid6()
    state, *args = moving(system)
    state.p[1] = np.nan
    alone = dynamics.rows(state, [2])
    together = dynamics.step(system, state, *args)
    apart = dynamics.step(system, alone, *(a[2:] for a in args))
    assert np.isnan(together.v_bus[1]).all()
    for name in ("delta", "p", "q", "omega_set", "current", "v_bus"):
        np.testing.assert_array_equal(getattr(together, name)[2:], getattr(apart, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v_setpoint": np.full((1, 5), 480.0)}, r"v_setpoint has shape \(1, 5\), expected \(1, 6\)"),
        ({"v_setpoint": np.full((1, 6), np.nan)}, "v_setpoint is nan in copy 0, column 0"),
        (
            {"load_r_scale": np.zeros((1, 4))},
            "load_r_scale is 0.0 in copy 0, column 0, expected a number > 0",
        ),
        ({"dt_s": 0.0}, "dt_s is 0.0"),
    ],
)
def test_inputs_that_mean_nothing_are_refused(change, message):
    system = cases.microgrid6()
    volts, ones, _ = inputs(system)
    arguments = {"v_setpoint": volts, "load_r_scale": ones, "load_l_scale": ones} | change
    with pytest.raises(ActionError, match=message):
        dynamics.step(system, dynamics.init(system, 1), **arguments)
