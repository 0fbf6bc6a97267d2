"""Classical voltage control does on the microgrids what it is known for."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

import simulator
from agents.baselines_voltage import (
    ConsensusVoltage,
    NominalSetpoint,
    SetpointRange,
    consensus_voltage,
    integral_voltage,
    nominal_setpoint,
)
from agents.errors import SettingsError
from tests.agents.descriptions import view_in


def in_band(name, rule, episodes=1, **options):
    """Return the share of bus voltages in the band under a rule for every agent."""
    world = simulator.make(name, n_envs=8, seed=2, **options)
    spec = world.spec
    acting = {a: rule(SetpointRange.read(spec.action_spaces[a], spec.action_names[a]),
                      spec.observation_names[a]) for a in spec.agents}  # fmt: skip
    frame = world.reset()
    starts, share = np.ones(8, bool), []
    for _ in range(20 * episodes):
        frame = world.step({a: acting[a].act(frame.observations[a], None, starts) for a in spec.agents})
        starts = frame.done
        share.append(frame.info["buses_in_band"].mean())
    return np.array(share)


def nominal(setpoints, _):
    return NominalSetpoint(setpoints)


@pytest.mark.parametrize("actions", ["discrete", "continuous"])
@pytest.mark.parametrize(
    ("name", "without", "least"), [("microgrid6", 0.05, 0.99), ("microgrid20", 0.6, 0.95)]
)
def test_consensus_brings_voltages_into_the_band_where_nominal_setpoints_do_not(
    name, without, least, actions
):
    options = {"observation": "neighbours", "actions": actions}
    assert in_band(name, nominal, **options).mean() < without
    assert in_band(name, ConsensusVoltage, **options)[5:].mean() > least


def test_every_episode_starts_anew():
    share = in_band("microgrid6", ConsensusVoltage, episodes=2)
    assert share[20] == pytest.approx(share[0], abs=0.1)


def test_an_agent_with_several_dgs_regulates_each(tmp_path):
    path = tmp_path / "partition.json"
    path.write_text(
        '{"format": "gridchorus-partition/1", "clusters": ['
        '{"name": "a", "variables": {"agent": ["dg_1", "dg_2", "dg_3"]}},'
        '{"name": "b", "variables": {"agent": ["dg_4", "dg_5", "dg_6"]}}]}'
    )
    assert in_band("microgrid6", ConsensusVoltage, partition=str(path))[5:].mean() > 0.99


def test_neighbours_with_higher_voltage_raise_the_setpoint():
    setpoints = SetpointRange(400.0, 600.0, 0, 1, single=False)
    rule = ConsensusVoltage(setpoints, ("dg_1/v_bd", "dg_1/v_bq", "dg_2/v_bd", "dg_2/v_bq"))
    obs = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -1.0, 0.0]], np.float32)
    up, down = rule.act(obs)[:, 0]
    still = ConsensusVoltage(setpoints, ("dg_1/v_bd", "dg_1/v_bq")).act(obs[:, :2])[:, 0]
    assert up > still[0] == still[1] > down


def test_the_nominal_setpoint_is_the_nearest_there_is():
    names = tuple(f"{v} V" for v in (460, 470, 480, 490))
    setpoints = SetpointRange.read(spaces.Discrete(4), names)
    assert NominalSetpoint(setpoints).act(np.zeros((3, 9), np.float32)).tolist() == [2, 2, 2]
    box = SetpointRange.read(spaces.Box(-1, 1, (1,)), ("dg_1: 440 V to 520 V",))
    np.testing.assert_allclose(NominalSetpoint(box).act(np.zeros((3, 9), np.float32)), 0.0)


def test_rules_are_made_from_what_an_agent_knows_of_the_grid():
    spec = simulator.make("microgrid6", observation="neighbours").spec
    view = view_in(spec, "dg_5")
    low = np.zeros((2, 18), np.float32)
    low[:, [7, 16]] = -2.0  # v_bd of both at 0.9 pu
    assert nominal_setpoint(view).act(low).tolist() == [0, 0]
    assert consensus_voltage(view).act(low).tolist() == [6, 6]  # 480 (1 + 1.3 * 0.1) = 542.4 V


def test_consensus_needs_a_neighbours_voltage():
    spec = simulator.make("microgrid6").spec
    view = view_in(spec, "dg_5")
    with pytest.raises(SettingsError, match="observation: neighbours, or use integral_voltage"):
        consensus_voltage(view)
    low = np.zeros((2, 9), np.float32)
    low[:, 7] = -2.0  # v_bd at 0.9 pu
    assert integral_voltage(view).act(low).tolist() == [6, 6]


def test_integral_control_hears_no_neighbour():
    setpoints = SetpointRange(400.0, 600.0, 0, 1, single=False)
    names = ("dg_1/v_bd", "dg_1/v_bq", "dg_2/v_bd", "dg_2/v_bq")
    obs = np.array([[0.4, 0.0, 1.0, 0.0], [0.4, 0.0, -1.0, 0.0]], np.float32)
    one, other = ConsensusVoltage(setpoints, names, coupling=0.0).act(obs)[:, 0]
    assert one == other


def test_grids_without_voltages_are_refused():
    with pytest.raises(SettingsError, match="name no range in V"):
        SetpointRange.read(spaces.Discrete(2), ("wait", "reconnect 3"))
    with pytest.raises(SettingsError, match="expected one of each for every DG"):
        ConsensusVoltage(SetpointRange(1.0, 2.0, 0, 1, single=False), ("count",))
