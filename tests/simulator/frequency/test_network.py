"""The reduced network says the same as the whole one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from simulator.frequency import case68, network, observe
from simulator.frequency.case_files import components


@pytest.fixture(scope="module")
def system():
    return case68.system()


def test_divider_rows_are_positive_and_sum_to_one(system):
    for without in (-1, *network.safe_branches(system.case)[::9]):
        divider = network.topology(system, int(without)).divider
        np.testing.assert_allclose(divider.sum(axis=1), 1.0, atol=1e-12)
        assert (divider > 0).all()


def test_reduced_laplacian_is_one(system):
    reduced = network.topology(system).reduced
    np.testing.assert_allclose(reduced.sum(axis=1), 0.0, atol=1e-9)
    assert (reduced[~np.eye(16, dtype=bool)] < 0).all()


def test_injection_at_a_bus_arrives_at_the_machines_in_full(system):
    injection = np.zeros(68)
    injection[15] = 1.0
    assert (injection @ network.topology(system).divider).sum() == pytest.approx(1.0)


def test_schedule_flow_holds_the_schedule(system):
    net = network.topology(system)
    seen = (system.machine_mw - system.load_mw @ net.divider) / system.base_mva
    np.testing.assert_allclose(net.reduced @ system.delta0, seen, atol=1e-9)


def test_branches_that_hang_machines_on_are_not_safe_to_open(system):
    safe = network.safe_branches(system.case)
    assert 0 < len(safe) < len(system.case.branch_x_pu)
    assert not np.isin(system.case.machine_bus, system.case.branch_to[safe]).any()
    assert all(components(system.case, int(k))[0] == 1 for k in safe)


def test_distance_is_a_metric(system):
    gap = network.distance(system.case)
    np.testing.assert_allclose(gap, gap.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(gap), 0.0, atol=1e-12)
    assert (gap[:, :, None] <= gap[:, None, :] + gap.T[None, :, :] + 1e-9).all()


def test_distance_over_the_only_branch_is_its_reactance(system):
    case = system.case
    k = int(
        np.flatnonzero((case.bus_number[case.branch_from] == 29) & (case.bus_number[case.branch_to] == 61))[0]
    )
    gap = network.distance(case)[case.branch_from[k], case.branch_to[k]]
    assert gap == pytest.approx(case.branch_x_pu[k] * case.branch_tap[k])


def test_neighbours_are_mutual_and_connect_everyone(system):
    fleet = case68.fleet(system.case, system.base_mva)
    linked = observe.neighbours(system, fleet)
    index = {name: i for i, name in enumerate(fleet.names)}
    graph = np.zeros((20, 20))
    for name, others in linked.items():
        assert name not in others
        for other in others:
            assert name in linked[other]
            graph[index[name], index[other]] = 1
    assert connected_components(graph)[0] == 1
