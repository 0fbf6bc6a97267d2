"""A grid2op environment keeps the promises of a `Grid`."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.errors import ActionError
from simulator.frame import Verdict
from simulator.transmission.family import make_grid
from simulator.transmission.masks import Reason

CASE14 = "grid2op:rte_case14_realistic"


def legal(rng, frame):
    masks = frame.masks.items()
    return {agent: np.array([rng.choice(np.flatnonzero(row)) for row in mask]) for agent, mask in masks}


def nothing(grid):
    return {agent: grid.fallback(agent) for agent in grid.spec.agents}


def same(one, two):
    for name in ("state", "rewards", "terminated", "truncated", "verdicts", "verdict_details", "final_state"):
        a, b = getattr(one, name), getattr(two, name)
        assert (a is None and b is None) or np.array_equal(a, b), name
    for agent in one.observations:
        assert np.array_equal(one.observations[agent], two.observations[agent])
    assert all(np.array_equal(one.info[name], two.info[name]) for name in one.info)


def play(grid, seed, n_steps, policy_seed=0):
    rng, frames = np.random.default_rng(policy_seed), [grid.reset(seed)]
    for _ in range(n_steps):
        frames.append(grid.step(legal(rng, frames[-1])))
    return frames


@pytest.fixture(scope="module")
def open_grid():
    """Three copies whose agents are always asked."""
    grid = make_grid(CASE14, 3, 0, gate=0)
    yield grid
    grid.close()


@pytest.fixture(scope="module")
def episodes(open_grid):
    return play(open_grid, 5, 50)


def test_frames_fit_the_spec(open_grid, episodes):
    spec = open_grid.spec
    for frame in episodes:
        assert frame.state.shape == (3, len(spec.state_names))
        assert frame.rewards.shape == (3, len(spec.agents))
        assert set(frame.info) == set(spec.metric_names)
        for agent in spec.agents:
            observation = frame.observations[agent]
            assert observation.shape == (3, len(spec.observation_names[agent]))
            assert all(spec.observation_space(agent).contains(row) for row in observation)
            assert frame.masks[agent].shape == (3, spec.action_space(agent).n)
            assert frame.masks[agent][:, 0].all()
            names = [spec.state_names.index(name) for name in spec.observation_names[agent]]
            assert np.array_equal(observation, frame.state[:, names])
    assert len(spec.action_names["south"]) == spec.action_space("south").n
    assert spec.neighbours == {"south": ("north",), "north": ("south",)}


def test_the_same_seed_gives_the_same_frames(open_grid, episodes):
    for one, two in zip(episodes, play(open_grid, 5, 50), strict=True):
        same(one, two)


def test_another_seed_gives_other_episodes(open_grid, episodes):
    assert not np.array_equal(open_grid.reset(6).state, episodes[0].state)


def test_legal_actions_are_applied_or_lose_to_another(episodes):
    for frame in episodes[1:]:
        assert not (frame.verdicts == Verdict.ILLEGAL).any()
        for index, agent in enumerate(("south", "north")):
            lost = frame.verdicts[:, index] == Verdict.LOST_ARBITRATION
            assert (frame.verdict_details[lost, index] == 1 - index).all()
            assert (frame.applied[agent][lost] == 0).all()


def test_copies_that_end_are_reset_in_the_same_step(episodes):
    ended = [frame for frame in episodes[1:] if frame.done.any()]
    assert ended
    for frame in ended:
        done = frame.done
        assert (frame.final_state[~done] == 0).all()
        assert (frame.final_state[done] != frame.state[done]).any()
        assert (frame.rewards[frame.terminated] == -10).all()
        assert (frame.info["not_served_mwh"][frame.terminated] > 0).all()
        steps = frame.info["episode_step"] - frame.info["steps_survived"]
        assert (steps == frame.terminated).all()


@pytest.mark.parametrize(
    ("start", "gate"), [(2880, 9.0), (5760, 9.0), (0, 0.0), (1440, 0.0)], ids=lambda value: str(value)
)
def test_what_is_served_and_what_is_not_add_up_to_the_load_of_the_episode(start, gate):
    """Do-nothing (never asked) and random actions lose the day after 3 to 97 of its 288 steps."""
    grid = make_grid(CASE14, 1, 0, gate=gate, scenarios=[[0, start]])
    rng, frame, served = np.random.default_rng(3), grid.reset(), 0.0
    while not frame.done[0]:
        frame = grid.step(legal(rng, frame))
        served += float(frame.info["load_mwh"][0])
    assert frame.terminated[0]
    assert frame.info["load_mwh"] == 0.0  # nothing is served in the step of the game over
    load_mw = grid._copies._copies[0]._env.chronics_handler.real_data.data.load_p[start + 1 : start + 289]
    not_served = float(frame.info["not_served_mwh"][0])
    assert served + not_served == pytest.approx(load_mw.sum() / 12.0, rel=1e-5)
    grid.close()


def life_of_copy_1(grid, others):
    """Play copy 1 always alike, and the other copies by `others`; return what copy 1 shows."""
    mine, theirs, frame, shown = np.random.default_rng(1), np.random.default_rng(2), grid.reset(5), []
    for _ in range(30):
        actions = others(theirs, frame)
        for agent, mask in frame.masks.items():
            actions[agent][1] = mine.choice(np.flatnonzero(mask[1]))
        frame = grid.step(actions)
        shown.append(np.concatenate([frame.state[1], frame.rewards[1], frame.done[[1]]]))
    return np.array(shown)


def test_copies_are_independent(open_grid):
    """What is done to copies 0 and 2 does not change copy 1, through its game overs and resets."""
    calm = life_of_copy_1(open_grid, lambda _, frame: {a: np.zeros(3, int) for a in frame.masks})
    wild = life_of_copy_1(open_grid, legal)
    assert calm[:, -1].sum() > 1
    assert np.array_equal(calm, wild)


def test_an_agent_that_is_not_asked_may_do_nothing_only():
    grid = make_grid(CASE14, 2, 0, gate=50.0)
    frame = grid.reset()
    assert all((mask.sum(axis=1) == 1).all() and mask[:, 0].all() for mask in frame.masks.values())
    frame = grid.step({"south": np.array([5, 0]), "north": np.array([0, 7])})
    assert frame.verdicts.tolist() == [[Verdict.ILLEGAL, Verdict.APPLIED], [Verdict.APPLIED, Verdict.ILLEGAL]]
    assert frame.verdict_details[0, 0] == frame.verdict_details[1, 1] == Reason.NOT_ASKED
    assert frame.info["illegal_proposals"].tolist() == [0, 0]
    assert frame.info["interventions"].tolist() == [0, 0]
    grid.close()


def open_line(grid, line):
    name = f"set_line_status {line} -1"
    agent = next(agent for agent in grid.spec.agents if name in grid.spec.action_names[agent])
    actions = nothing(grid)
    actions[agent] = np.full(grid.spec.n_envs, grid.spec.action_names[agent].index(name))
    return grid.step(actions)


@pytest.mark.parametrize("auto", [True, False])
def test_lines_are_reconnected_while_agents_are_not_asked(auto):
    grid = make_grid(CASE14, 1, 0, gate=0.9, auto_reconnect=auto, scenarios=[[0, 288]])
    frame = grid.reset()
    assert frame.info["max_rho"] < 0.9
    grid._asked[:] = True  # let one agent in, to open a line
    frame = open_line(grid, "11_12_13")
    out = [int(frame.info["lines_out"][0])]
    reconnected = 0
    for _ in range(6):
        frame = grid.step(nothing(grid))
        out.append(int(frame.info["lines_out"][0]))
        reconnected += int(frame.info["reconnections"][0])
    assert out == ([1, 1, 1, 1, 0, 0, 0] if auto else [1] * 7)  # after a cooldown of 3 steps
    assert reconnected == int(auto)
    grid.close()


def test_a_line_in_cooldown_is_masked_and_refused(open_grid):
    open_grid.reset(1)
    frame = open_line(open_grid, "0_1_0")
    names = open_grid.spec.action_names["south"]
    close = names.index("set_line_status 0_1_0 +1")
    alive = ~frame.done
    assert not frame.masks["south"][alive, close].any()
    frame = open_grid.step({"south": np.full(3, close), "north": np.zeros(3, int)})
    assert (frame.verdicts[alive, 0] == Verdict.ILLEGAL).all()
    assert (frame.verdict_details[alive, 0] == Reason.LINE_COOLDOWN).all()
    assert (frame.applied["south"][alive] == 0).all()


def test_an_episode_is_truncated_at_its_longest_length():
    grid = make_grid(CASE14, 2, 0, max_steps=4, scenarios=[[0, 288], [1, 576], [0, 864]])
    grid.reset()
    truncated, starts = [], []
    for _ in range(8):
        frame = grid.step(nothing(grid))
        truncated.append(frame.truncated.tolist())
        starts.append(frame.info["start_step"].tolist())
        assert not frame.terminated.any()
    assert truncated == [[False] * 2] * 3 + [[True] * 2] + [[False] * 2] * 3 + [[True] * 2]
    assert starts == [[288, 576]] * 4 + [[864, 288]] * 4
    grid.close()


def test_a_chronic_that_ends_truncates():
    grid = make_grid("grid2op:rte_case5_example", 1, 0, max_steps=None, scenarios=[[0, 2000]], gate=9)
    grid.reset()
    frames = [grid.step(nothing(grid)) for _ in range(17)]
    assert frames[0].info["episode_length"] == 16
    assert [bool(frame.truncated[0]) for frame in frames].index(True) == 15
    assert not any(frame.terminated[0] for frame in frames)
    grid.close()


@pytest.mark.parametrize(
    "actions",
    [
        {"south": np.zeros(3, int)},
        {"south": np.zeros(3, int), "north": np.zeros(3, int), "east": np.zeros(3, int)},
        {"south": np.zeros(2, int), "north": np.zeros(3, int)},
        {"south": np.zeros(3), "north": np.zeros(3, int)},
        {"south": np.full(3, -1), "north": np.zeros(3, int)},
        {"south": np.full(3, 10**6), "north": np.zeros(3, int)},
    ],
)  # fmt: skip
def test_wrong_actions_are_refused(open_grid, actions):
    with pytest.raises(ActionError):
        open_grid.step(actions)


def test_what_grid2op_refuses_is_told_to_those_who_acted():
    """Behind the grid's back one step may change no substation at all."""
    grid = make_grid(CASE14, 1, 0, gate=0, scenarios=[[0, 288]])
    grid.reset()
    grid._copies._copies[0]._env._parameters.MAX_SUB_CHANGED = 0
    grid.step(nothing(grid))
    names = grid.spec.action_names["south"]
    act = next(i for i, name in enumerate(names) if name.startswith("set_bus"))
    frame = grid.step({"south": np.array([act]), "north": np.array([0])})
    assert frame.verdicts.tolist() == [[Verdict.ILLEGAL, Verdict.APPLIED]]
    assert frame.verdict_details.tolist() == [[Reason.REFUSED, -1]]
    assert frame.applied["south"].tolist() == [0]
    assert frame.info["interventions"].tolist() == [0]
    grid.close()


def test_only_what_changes_the_topology_is_an_intervention():
    """Every kind of action, one agent at a time, judged by the topology that follows; nothing trips."""
    kinds = ["set_bus", "change_bus", "set_line_status", "change_line_status"]
    rules = {"cooldown_substation": 0, "cooldown_line": 0, "overflow_allowed": 10**6}
    grid = make_grid(CASE14, 3, 0, gate=0, kinds=kinds, max_elements=4, **rules)
    rng, frame, seen = np.random.default_rng(0), grid.reset(1), set()
    for agent in rng.choice(grid.spec.agents, 60):
        actions = {**nothing(grid), agent: legal(rng, frame)[agent]}
        before = grid._layout.view(grid._rows, "topo_vect")
        frame = grid.step(actions)
        changed = (grid._layout.view(grid._rows, "topo_vect") != before).any(axis=1)
        for copy in np.flatnonzero(~frame.done):
            assert frame.info["interventions"][copy] == changed[copy]
            kind = grid.spec.action_names[agent][actions[agent][copy]].split()[0]
            seen.add((kind, bool(changed[copy])))
    assert seen >= {(kind, True) for kind in kinds} | {("set_bus", False), ("set_line_status", False)}
    grid.close()


def test_opponents_attack_unless_they_are_switched_off():
    for opponent in (True, False):
        grid = make_grid("grid2op:rte_case14_opponent", 2, 0, opponent=opponent, gate=9)
        grid.reset()
        attacked = sum(grid.step(nothing(grid)).info["attacked"].sum() for _ in range(120))
        assert (attacked > 0) == opponent
        grid.close()
