"""Units move by their ramp, stay in range, and batteries run empty."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.frequency import case68, units

SYSTEM = case68.system()
FLEET = case68.fleet(SYSTEM.case, SYSTEM.base_mva)


def moved(action: float, ticks: int = 1, battery_mwh: float = 100.0) -> units.UnitState:
    state = units.at_start(FLEET, 1, 0.5)
    for _ in range(ticks):
        state = units.move(FLEET, state, np.full((1, 20), action), 2.0, battery_mwh)
    return state


def test_full_action_is_the_ramp():
    change = moved(1.0).output_mw[0] - FLEET.p_start
    for kind, ramp in (("battery", 50.0), ("gas", 10.0), ("dr", 5.0)):
        rows = [i for i, k in enumerate(FLEET.kind) if k == kind]
        np.testing.assert_allclose(change[rows], ramp / 30.0)


@settings(max_examples=30, deadline=None)
@given(action=st.floats(-1, 1), ticks=st.integers(1, 300))
def test_units_stay_in_range(action: float, ticks: int):
    output = moved(action, ticks).output_mw
    assert ((output >= FLEET.p_min) & (output <= FLEET.p_max)).all()


def test_a_battery_gives_no_more_than_it_holds():
    state, given_mwh = units.at_start(FLEET, 1, 0.5), 0.0
    for _ in range(600):
        state = units.move(FLEET, state, np.ones((1, 20)), 2.0, 1.0)
        given_mwh += state.output_mw[0, 0] * 2.0 / 3600.0
    assert abs(given_mwh - 0.5) < 1e-9
    assert state.output_mw[0, 0] == 0.0
    assert state.soc[0, 0] == 0.0
    assert (state.soc[0, ~FLEET.is_battery] == 1.0).all()


def test_injections_sum_up_to_what_moved():
    state = moved(0.7, 5)
    at_bus, at_machine = units.injections(FLEET, state, 68, 16)
    np.testing.assert_allclose(at_bus.sum() + at_machine.sum(), (state.output_mw - FLEET.p_start).sum())
    assert (at_machine[0, :8] > 0).all()
    assert not at_machine[0, 8:].any()
