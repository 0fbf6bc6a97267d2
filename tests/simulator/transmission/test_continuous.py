"""Redispatch, curtailment and storage do what their scaling says."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.errors import ActionError, PartitionError
from simulator.transmission.family import make_grid
from simulator.transmission.masks import Reason


@pytest.fixture(scope="module")
def grid():
    made = make_grid("grid2op:educ_case14_storage", 2, 0, actions="both", gate=0, split="all")
    yield made
    made.close()


def column(grid, frame, name):
    return frame.state[:, grid.spec.state_names.index(name)]


def nothing(grid):
    return {agent: grid.fallback(agent) for agent in grid.spec.agents}


def control(grid, kind):
    names = (name for agent in grid.spec.agents for name in grid.spec.action_names[agent])
    return next(name for name in names if name.startswith(kind))


def step_with(grid, name, value):
    actions = nothing(grid)
    for agent, names in grid.spec.action_names.items():
        if name in names:
            actions[agent][:, names.index(name)] = value
    return grid.step(actions)


def test_controls_are_those_of_the_cluster(grid):
    south, north = (grid.spec.action_names[f"{cluster}_continuous"] for cluster in ("south", "north"))
    assert south == ("redispatch gen_1_0", "redispatch gen_2_1", "redispatch gen_0_5")
    assert {name.split()[0] for name in north} == {"curtail", "storage"}


def test_redispatch_moves_the_target_by_the_ramp(grid):
    grid.reset(0)
    frame = step_with(grid, "redispatch gen_1_0", 1.0)
    name = "gen_1_0.target_dispatch"
    unit = float(grid.spec.state_units[grid.spec.state_names.index(name)].split()[0])
    assert column(grid, frame, name) * unit == pytest.approx([5.0, 5.0], rel=1e-3)


def test_curtailment_holds_until_it_is_changed(grid):
    grid.reset(0)
    renewable = control(grid, "curtail")
    frame = step_with(grid, renewable, -0.75)
    name = f"{renewable.split()[1]}.curtailment_limit"
    assert column(grid, frame, name) == pytest.approx([0.25, 0.25], abs=0.02)
    assert column(grid, grid.step(nothing(grid)), name) == pytest.approx(column(grid, frame, name))


def test_zeros_do_nothing(grid):
    frames = []
    for zeros in (True, False):
        grid.reset(0)
        actions = nothing(grid)
        if zeros:
            actions = {agent: np.zeros_like(action) for agent, action in actions.items()}
        frames.append([grid.step(actions) for _ in range(20)])
    for one, other in zip(*frames, strict=True):
        assert np.array_equal(one.state, other.state)
        assert (one.info["interventions"] == 0).all()


def test_curtailing_less_than_nothing_is_nothing(grid):
    grid.reset(0)
    frame = step_with(grid, control(grid, "curtail"), 0.7)
    assert (frame.applied["north_continuous"] == 0).all()
    assert (frame.info["interventions"] == 0).all()


def test_storage_charges_and_rests(grid):
    first = grid.reset(0)
    unit = control(grid, "storage")
    frame = step_with(grid, unit, 0.5)
    name = f"{unit.split()[1]}.charge"
    assert (column(grid, frame, name) > column(grid, first, name)).all()
    assert (frame.info["storage_mwh"] > 0).all()
    assert (grid.step(nothing(grid)).info["storage_mwh"] == 0).all()


def test_the_fallback_changes_nothing(grid):
    grid.reset(0)
    frame = grid.step(nothing(grid))
    assert (frame.info["interventions"] == 0).all()
    assert (frame.info["redispatched_mwh"] == 0).all()


def test_redispatch_without_end_is_cut_back_and_never_refused(grid):
    grid.reset(0)
    least = 0.0
    for _ in range(40):
        frame = step_with(grid, "redispatch gen_1_0", -1.0)
        assert not (frame.verdict_details == Reason.REFUSED).any()
        least = min(least, column(grid, frame, "gen_1_0.target_dispatch").min())
    assert -1.0 <= least < -0.9  # of pmax


def test_nan_and_numbers_out_of_range_are_refused(grid):
    for value in (np.nan, 1.5, -np.inf):
        with pytest.raises(ActionError):
            step_with(grid, "redispatch gen_1_0", value)


def test_a_continuous_agent_that_is_not_asked_changes_nothing():
    grid = make_grid("grid2op:rte_case14_realistic", 1, 0, actions="continuous", gate=50.0)
    frame = grid.reset()
    assert frame.masks is None
    frame = step_with(grid, "redispatch gen_1_0", 1.0)
    assert (frame.verdict_details == Reason.NOT_ASKED).all()
    assert column(grid, frame, "gen_1_0.target_dispatch") == 0
    assert all((frame.applied[agent] == grid.fallback(agent)).all() for agent in grid.spec.agents)
    grid.close()


def test_a_cluster_with_nothing_to_control_is_refused():
    with pytest.raises(PartitionError, match="nothing to control"):
        make_grid("grid2op:rte_case14_realistic", 1, 0, actions="continuous", kinds=["storage"])
