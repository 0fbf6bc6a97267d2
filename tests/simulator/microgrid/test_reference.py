"""The microgrids follow independent full-order trajectories, tick by tick and bus by bus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.microgrid import cases, dynamics

GOLDEN = Path(__file__).parents[2] / "golden" / "microgrid"
SYSTEMS = {"microgrid6": cases.microgrid6, "microgrid20": cases.microgrid20}
WITHIN_PU = {
    ("microgrid6", "phasor"): 2e-3,
    ("microgrid20", "phasor"): 5e-3,
    ("microgrid6", "standard"): 1e-4,
    ("microgrid20", "standard"): 1e-4,
    ("microgrid6", "full"): 2e-5,
    ("microgrid20", "full"): 2e-5,
}


def follow(name: str, seed: int, fidelity: str):
    """Yield (row of the reference, state) after the warm-up and after every tick."""
    system = SYSTEMS[name]()
    with np.load(GOLDEN / f"{name}_seed{seed}.npz") as file:
        golden = {key: file[key] for key in file.files}
    state = dynamics.init(system, 1)
    for row in range(len(golden["v_setpoint"])):
        now = slice(row, row + 1)
        inputs = [golden[key][now] for key in ("v_setpoint", "load_r_scale", "load_l_scale")]
        state = dynamics.step(
            system, state, *inputs, 0.05 if row else 0.4, secondary=row > 0, fidelity=fidelity
        )
        yield {key: values[row] for key, values in golden.items()}, system, state


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize(("name", "fidelity"), WITHIN_PU)
def test_bus_voltages_follow_the_reference(name, fidelity, seed):
    worst = max(
        np.abs(dynamics.bus_voltage(system, state)[0] - golden["v_bus_pu"]).max()
        for golden, system, state in follow(name, seed, fidelity)
    )
    assert worst < WITHIN_PU[name, fidelity]


@pytest.mark.parametrize("name", SYSTEMS)
def test_powers_angles_and_frequency_setpoints_follow_the_reference(name):
    for golden, _, state in follow(name, 11, "full"):
        # the reference's resistors to ground draw 23 W from each bus, and lag angles by their share
        np.testing.assert_allclose(state.p[0], golden["p_dg_w"], atol=60.0)
        np.testing.assert_allclose(state.q[0], golden["q_dg_var"], atol=60.0)
        np.testing.assert_allclose(state.delta[0], golden["delta_rad"], atol=2e-4)
        np.testing.assert_allclose(state.omega_set[0], golden["omega_set_rad_s"], atol=4e-3)


def test_the_warm_up_may_be_one_step_or_many():
    system = cases.microgrid6()
    loads = np.ones((1, system.n_load))
    volts = np.full((1, system.n_dg), 480.0)
    once = dynamics.step(system, dynamics.init(system, 1), volts, loads, loads, 0.4, secondary=False)
    often = dynamics.init(system, 1)
    for _ in range(8):
        often = dynamics.step(system, often, volts, loads, loads, 0.05, secondary=False)
    np.testing.assert_allclose(np.abs(often.v_bus), np.abs(once.v_bus), rtol=1e-5)
