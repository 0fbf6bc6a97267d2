"""The masks say of every action what grid2op's own rules say of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulator.transmission.catalogue import Kind, build_catalogues
from simulator.transmission.clusters import assign, whole_grid
from simulator.transmission.environment import describe, make_environment
from simulator.transmission.masks import LEGAL, Reason, Rules, Situation
from simulator.transmission.options import BUS_KINDS, LINE_KINDS, Options
from simulator.transmission.types import Layout

ALL = Options(kinds=BUS_KINDS + LINE_KINDS, alone_lines=True)


@pytest.fixture(scope="module")
def catalogues(env, system, clusters):
    return build_catalogues(env, system, clusters, ALL)


def grid2op_action(env, system, catalogue, action):
    command: dict[str, np.ndarray] = {}
    if action:
        catalogue.write(action, command, system)
    return env.action_space(command)


def impose(env, rng, system, p_out):
    """Put an environment in a random situation of cooldowns, outages and maintenance; return it as read."""
    if env.nb_time_step <= 0:
        env.step(env.action_space())  # grid2op does not ask its rules before the first step
    connected = rng.random(system.n_line) >= p_out
    line_cooldown = rng.integers(0, 5, system.n_line) * (rng.random(system.n_line) < 0.3)
    maintenance = ~connected & (line_cooldown > 0) & (rng.random(system.n_line) < 0.5)
    sub_cooldown = rng.integers(0, 5, system.n_sub) * (rng.random(system.n_sub) < 0.3)
    env._line_status[:] = connected
    env._times_before_line_status_actionable[:] = line_cooldown
    env._times_before_topology_actionable[:] = sub_cooldown
    return Situation(connected[None], line_cooldown[None] > 0, maintenance[None], sub_cooldown[None] > 0)


def disagreements(env, system, catalogues, situation, rng, n_actions):
    rules = Rules(system, catalogues)
    legal = rules.verdicts(situation)[0] == LEGAL
    wrong, seen = [], []
    for agent, catalogue in enumerate(catalogues):
        for action in rng.choice(len(catalogue), n_actions, replace=False):
            proposal = grid2op_action(env, system, catalogue, action)
            ours = bool(legal[rules.columns(agent)[action]])
            theirs = bool(env._game_rules(action=proposal, env=env)[0])
            seen.append(ours)
            if ours != theirs:
                wrong.append(catalogue.names[action])
    return wrong, seen


@pytest.mark.parametrize("p_out", [0.02, 0.1, 0.4, 0.9])
def test_masks_agree_with_game_rules_in_random_situations(env, system, catalogues, p_out):
    rng = np.random.default_rng(int(100 * p_out))
    seen = []
    for _ in range(64):
        situation = impose(env, rng, system, p_out)
        wrong, verdicts = disagreements(env, system, catalogues, situation, rng, 24)
        assert wrong == []
        seen += verdicts
    assert len(seen) == 64 * 2 * 24  # 12,288 pairs over the four parameters
    assert 0.1 < np.mean(seen) < 0.95


def test_masks_agree_with_game_rules_along_a_trajectory(env, system, catalogues):
    """Here cooldowns come from real actions, and the situation is read from the observation."""
    rng, layout, wrong = np.random.default_rng(7), Layout(system), []
    env.reset()
    obs = env.step(env.action_space())[0]
    for _ in range(60):
        row = np.zeros((1, layout.width), np.float32)
        for name in layout.fields:
            layout.view(row, name)[0] = getattr(obs, name)
        wrong += disagreements(env, system, catalogues, Situation.read(row, layout), rng, 10)[0]
        catalogue = catalogues[rng.integers(2)]
        obs, _, done, _ = env.step(grid2op_action(env, system, catalogue, rng.integers(len(catalogue))))
        if done:
            env.reset()
            obs = env.step(env.action_space())[0]
    assert wrong == []


@pytest.mark.parametrize(("subs", "lines"), [(0, 1), (1, 0), (2, 2)])
def test_masks_follow_the_limits_of_a_step(env, system, catalogues, subs, lines):
    rng = np.random.default_rng(subs)
    parameters = env._parameters
    before = parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED
    parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED = subs, lines
    limited = dataclasses.replace(system, max_subs=subs, max_lines=lines)
    try:
        for _ in range(12):
            situation = impose(env, rng, system, 0.2)
            assert disagreements(env, limited, catalogues, situation, rng, 24)[0] == []
    finally:
        parameters.MAX_SUB_CHANGED, parameters.MAX_LINE_STATUS_CHANGED = before


def test_masks_agree_where_lines_are_in_maintenance():
    """A grid of 118 substations, with random maintenance and rules by area."""
    options = dataclasses.replace(ALL, max_elements=4, opponent=False)
    env = make_environment("l2rpn_idf_2023", options)
    env.seed(3)
    env.reset()
    system = describe(env, "l2rpn_idf_2023")
    catalogues = build_catalogues(env, system, assign(system, whole_grid(system)), options)
    rules, layout, seen = Rules(system, catalogues), Layout(system), 0
    env.set_id(1)
    obs = env.reset(options={"init ts": 394})
    for _ in range(6):
        row = np.zeros((1, layout.width), np.float32)
        for name in layout.fields:
            layout.view(row, name)[0] = getattr(obs, name)
        situation = Situation.read(row, layout)
        verdicts = rules.verdicts(situation)[0][rules.columns(0)]
        for line in np.flatnonzero(situation.maintenance[0]):
            for action in np.flatnonzero(
                (catalogues[0].kinds == Kind.SET_LINE) & (catalogues[0].targets == line)
            ):
                proposal = grid2op_action(env, system, catalogues[0], action)
                assert not env._game_rules(action=proposal, env=env)[0]
                assert verdicts[action] == Reason.MAINTENANCE
                seen += 1
        wrong, _ = disagreements(env, system, catalogues, situation, np.random.default_rng(0), 150)
        assert wrong == []
        obs, _, done, _ = env.step(env.action_space())
        assert not done
    env.close()
    assert seen > 0


def test_no_action_of_a_catalogue_is_ambiguous(env, system, catalogues):
    for catalogue in catalogues:
        for action in range(len(catalogue)):
            ambiguous, reason = grid2op_action(env, system, catalogue, action).is_ambiguous()
            assert not ambiguous, (catalogue.names[action], reason)


def test_a_catalogue_acts_on_its_own_cluster_only(env, system, clusters, catalogues):
    for cluster, catalogue in enumerate(catalogues):
        assert catalogue.names[0] == "do nothing"
        assert len(set(catalogue.names)) == len(catalogue)
        bus = (catalogue.kinds == Kind.SET_BUS) | (catalogue.kinds == Kind.CHANGE_BUS)
        line = (catalogue.kinds == Kind.SET_LINE) | (catalogue.kinds == Kind.CHANGE_LINE)
        assert set(clusters.sub[catalogue.targets[bus]]) == {cluster}
        assert set(clusters.line[catalogue.targets[line]]) == {cluster}
        for action in np.flatnonzero(bus):
            assert set(system.topo_sub[catalogue.places[action]]) == {catalogue.targets[action]}


def test_doing_nothing_is_always_legal(system, catalogues):
    rules = Rules(dataclasses.replace(system, max_subs=0, max_lines=0), catalogues)
    every = np.ones((1, system.n_line), bool)
    worst = Situation(~every, every, every, np.ones((1, system.n_sub), bool))
    verdicts = rules.verdicts(worst)[0]
    for agent in range(len(catalogues)):
        legal = verdicts[rules.columns(agent)] == LEGAL
        assert legal[0]
        assert not legal[1:].any()
