"""Whatever agents propose, what is carried out is one action that grid2op accepts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulator.frame import Verdict
from simulator.transmission.arbiter import Arbiter
from simulator.transmission.catalogue import Kind, build_catalogues
from simulator.transmission.masks import LEGAL, Reason, Rules, Situation
from simulator.transmission.options import BUS_KINDS, LINE_KINDS, Options


@pytest.fixture(scope="module")
def catalogues(env, system, clusters):
    return build_catalogues(env, system, clusters, Options(kinds=BUS_KINDS + LINE_KINDS))


def quiet_situation(system, n_envs=1):
    lines, subs = (n_envs, system.n_line), (n_envs, system.n_sub)
    return Situation(np.ones(lines, bool), np.zeros(lines, bool), np.zeros(lines, bool), np.zeros(subs, bool))


def decide(system, catalogues, proposals, priority, now=None):
    now = now or quiet_situation(system, len(proposals))
    rules = Rules(system, catalogues)
    verdicts = rules.verdicts(now)
    columns = np.stack([rules.columns(i)[proposals[:, i]] for i in range(len(catalogues))], axis=1)
    legality = np.take_along_axis(verdicts, columns, axis=1)
    order = np.asarray(priority, np.float32)
    return Arbiter(system, rules, catalogues).decide(proposals, legality, now, order)


def first(catalogue, kind, target=None):
    match = catalogue.kinds == kind
    if target is not None:
        match &= catalogue.targets == target
    return int(np.flatnonzero(match)[0])


def test_the_agent_with_the_largest_rho_wins_and_the_loser_is_told(system, catalogues):
    proposals = np.array([[first(c, Kind.SET_BUS) for c in catalogues]] * 2)
    decision = decide(system, catalogues, proposals, [[0.9, 1.2], [1.0, 1.0]])
    assert decision.accepted.tolist() == [[0, proposals[0, 1]], [proposals[1, 0], 0]]  # a tie: first agent
    lost, won = Verdict.LOST_ARBITRATION, Verdict.APPLIED
    assert decision.verdicts.tolist() == [[lost, won], [won, lost]]
    assert decision.details.tolist() == [[1, -1], [-1, 0]]


def test_a_substation_and_a_line_fit_in_one_step(system, catalogues):
    proposals = np.array([[first(catalogues[0], Kind.SET_BUS, 1), first(catalogues[1], Kind.SET_LINE, 10)]])
    decision = decide(system, catalogues, proposals, [[1.0, 2.0]])
    assert (decision.verdicts == Verdict.APPLIED).all()
    assert (decision.accepted == proposals).all()


@pytest.mark.parametrize("priority", [[[1.0, 2.0]], [[2.0, 1.0]]])
def test_a_line_opened_by_one_and_moved_by_another_is_a_conflict(system, catalogues, priority):
    """Line 17 joins substation 4 (first cluster) to 5, and belongs to the second cluster."""
    proposals = np.array([[first(catalogues[0], Kind.SET_BUS, 4), first(catalogues[1], Kind.SET_LINE, 17)]])
    decision = decide(system, catalogues, proposals, priority)
    winner = int(np.argmax(priority))
    assert decision.verdicts[0, winner] == Verdict.APPLIED
    assert decision.verdicts[0, 1 - winner] == Verdict.LOST_ARBITRATION


def test_an_illegal_proposal_costs_nobody_else_anything(system, catalogues):
    now = quiet_situation(system)
    now.line_cooldown[0, 0] = True
    proposals = np.array([[first(catalogues[0], Kind.SET_LINE, 0), first(catalogues[1], Kind.SET_LINE, 10)]])
    decision = decide(system, catalogues, proposals, [[9.0, 0.0]], now)
    assert decision.verdicts.tolist() == [[Verdict.ILLEGAL, Verdict.APPLIED]]
    assert decision.details.tolist() == [[Reason.LINE_COOLDOWN, -1]]
    assert decision.accepted.tolist() == [[0, proposals[0, 1]]]


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (1, 2), (3, 3)])
def test_every_joint_action_is_legal_and_unambiguous(env, system, catalogues, limits):
    rng = np.random.default_rng(sum(limits))
    limited = dataclasses.replace(system, max_subs=limits[0], max_lines=limits[1])
    env.reset()
    env.step(env.action_space())
    parameters = env._parameters
    before = parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED
    parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED = limits
    both = 0
    try:
        for _ in range(150):
            connected = rng.random(system.n_line) > 0.15
            cooldown = rng.random(system.n_line) < 0.1
            now = Situation(connected[None], cooldown[None], np.zeros_like(cooldown)[None],
                            np.zeros((1, system.n_sub), bool))  # fmt: skip
            env._line_status[:] = connected
            env._times_before_line_status_actionable[:] = cooldown
            env._times_before_topology_actionable[:] = 0
            proposals = np.array([[rng.integers(len(c)) for c in catalogues]])
            decision = decide(limited, catalogues, proposals, rng.random((1, 2)), now)
            command: dict[str, np.ndarray] = {}
            for catalogue, action in zip(catalogues, decision.accepted[0], strict=True):
                if action:
                    catalogue.write(int(action), command, system)
            joint = env.action_space(command)
            assert not joint.is_ambiguous()[0], joint.is_ambiguous()[1]
            assert env._game_rules(action=joint, env=env)[0]
            both += int((decision.accepted > 0).all())
            assert ((decision.accepted == proposals) == (decision.verdicts == Verdict.APPLIED)).all()
    finally:
        parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED = before
    assert both > 10


def test_doing_nothing_is_applied(system, catalogues):
    decision = decide(system, catalogues, np.zeros((3, 2), np.int64), np.zeros((3, 2)))
    assert (decision.verdicts == Verdict.APPLIED).all()
    assert (decision.details == LEGAL).all()
