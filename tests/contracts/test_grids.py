"""What holds for every grid: one suite over all families, behind their usual SCADA link or a bad one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import simulator
from simulator import Frame, World
from simulator.describe import features_json, spaces_json
from simulator.errors import ActionError, OptionError, UnknownGridError
from simulator.frame import Verdict
from tests.contracts.cases import CASES, SMALL, Case

pytestmark = pytest.mark.timeout(120)


TICKS = 14


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def world(case: Case) -> Iterator[World]:
    world = case.make()
    yield world
    world.close()


def draw(world: World, frame: Frame, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random actions that are legal."""
    actions = {}
    for agent in world.spec.agents:
        space, n = world.spec.action_space(agent), world.spec.n_envs
        if isinstance(space, spaces.Box):
            actions[agent] = rng.uniform(space.low, space.high, (n, *space.shape)).astype(np.float32)
        elif isinstance(space, spaces.MultiDiscrete):
            actions[agent] = rng.integers(space.nvec, size=(n, len(space.nvec)))
        else:
            mask = np.ones((n, int(space.n)), bool) if frame.masks is None else frame.masks[agent]
            actions[agent] = (rng.random(mask.shape) * mask).argmax(axis=1)
    return actions


def play(world: World, seed: int, *, disturbed: bool = False, ticks: int = TICKS) -> list[Frame]:
    """Play random legal actions; `disturbed` draws other ones for copy 0 alone."""
    frame, frames = world.reset(seed), []
    frames.append(frame)
    for tick in range(ticks):
        actions = draw(world, frame, np.random.default_rng(tick))
        if disturbed:
            other = draw(world, frame, np.random.default_rng(1000 + tick))
            for agent, action in actions.items():
                action[0] = other[agent][0]
        frame = world.step(actions)
        frames.append(frame)
    return frames


def arrays(frame: Frame) -> dict[str, np.ndarray]:
    """Return all numbers of a frame that every copy has of its own."""
    found = {"state": frame.state, "rewards": frame.rewards, "in_flight": frame.in_flight}
    found |= {"terminated": frame.terminated, "truncated": frame.truncated}
    parts = {"obs": frame.observations, "masks": frame.masks, "info": frame.info, "applied": frame.applied}
    for name, part in (parts | {"ticks": frame.measured_ticks}).items():
        found |= {f"{name} {key}": value for key, value in (part or {}).items()}
    if frame.verdicts is not None:
        found |= {"verdicts": frame.verdicts, "details": frame.verdict_details}
    if frame.final_state is not None:
        done = frame.done
        found["final state"] = np.where(done[:, None], frame.final_state, 0)
        for agent, final in frame.final_observations.items():
            found[f"final {agent}"] = np.where(done[:, None], final, 0)
    return found


def test_the_description_is_complete_and_fits_itself(world):
    spec = world.spec
    assert len(set(spec.agents)) == len(spec.agents) > 0
    assert len(spec.state_names) == len(spec.state_units) == len(set(spec.state_names))
    assert spec.dt_s > 0
    for agent in spec.agents:
        width = spec.observation_space(agent).shape[0]
        assert spec.observation_space(agent).dtype == np.float32
        assert len(spec.observation_names[agent]) == len(spec.observation_units[agent]) == width
        assert len(set(spec.observation_names[agent])) == width
        space = spec.action_space(agent)
        expected = int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod(space.shape))
        assert len(spec.action_names[agent]) == expected
        assert set(spec.neighbours.get(agent, ())) <= set(spec.agents) - {agent}
    json.loads(spaces_json(spec)), json.loads(features_json(spec)), json.dumps(spec.options)
    assert not spec.partition or json.loads(spec.partition)["clusters"]


def test_agents_are_known_without_building_the_grid(case, world):
    assert simulator.agent_names(case.name, **case.options) == world.spec.agents


def test_gymnasium_accepts_the_spaces(world):
    for agent in world.spec.agents:
        for space in (world.spec.observation_space(agent), world.spec.action_space(agent)):
            space.seed(0)
            assert space.contains(space.sample())


def test_every_frame_has_the_shapes_types_and_bounds_it_promises(world):
    spec, frames = world.spec, play(world, seed=3)
    n, agents = spec.n_envs, len(spec.agents)
    assert any(frame.done.any() for frame in frames)
    for tick, frame in enumerate(frames):
        assert (frame.state.shape, frame.state.dtype) == ((n, len(spec.state_names)), np.float32)
        assert np.isfinite(frame.state).all()
        assert (frame.rewards.shape, frame.rewards.dtype) == ((n, agents), np.float32)
        assert np.isfinite(frame.rewards).all()
        assert frame.terminated.shape == frame.truncated.shape == (n,)
        assert frame.terminated.dtype == frame.truncated.dtype == bool
        assert not (frame.terminated & frame.truncated).any()
        assert (frame.in_flight.shape, frame.in_flight.dtype) == ((n, world.link.in_flight_dim), np.float32)
        assert set(frame.info) <= set(spec.metric_names)
        assert all(values.shape == (n,) for values in frame.info.values())
        for agent in spec.agents:
            shown = frame.observations[agent]
            assert shown.dtype == np.float32
            assert all(spec.observation_space(agent).contains(row) for row in shown)
            assert frame.measured_ticks[agent].dtype == np.int64
            assert (frame.measured_ticks[agent] <= tick).all()
        if tick == 0:
            assert frame.verdicts is None
            assert not frame.done.any()
            continue
        assert (frame.verdicts.shape, frame.verdicts.dtype) == ((n, agents), np.uint8)
        assert set(np.unique(frame.verdicts)) <= set(Verdict)
        illegal = frame.verdicts == Verdict.ILLEGAL
        assert (frame.verdict_details[illegal] < len(spec.reasons)).all()
        assert set(frame.info) == set(spec.metric_names)


def test_copies_that_end_show_how_they_ended(world):
    spec, frames = world.spec, play(world, seed=4)
    ended = [frame for frame in frames if frame.done.any()]
    assert ended
    for frame in frames:
        assert (frame.final_observations is not None) == bool(frame.done.any())
        assert (frame.final_state is not None) == bool(frame.done.any())
    for frame in ended:
        assert frame.final_state.shape == frame.state.shape
        assert frame.final_in_flight.shape == frame.in_flight.shape
        assert not np.array_equal(frame.final_state[frame.done], frame.state[frame.done])
        for agent in spec.agents:
            final = frame.final_observations[agent]
            assert final.shape == frame.observations[agent].shape
            assert all(spec.observation_space(agent).contains(row) for row in final[frame.done])


def test_masks_always_leave_a_choice_and_every_legal_action_is_one(world):
    for frame in play(world, seed=5):
        for agent, mask in (frame.masks or {}).items():
            space = world.spec.action_space(agent)
            assert isinstance(space, spaces.Discrete)
            assert (mask.shape, mask.dtype) == ((world.spec.n_envs, int(space.n)), bool)
            assert mask.any(axis=1).all()


def test_the_same_seed_and_actions_give_the_same_frames(case, world):
    first, again = play(world, seed=6), play(world, seed=6)
    fresh = case.make(seed=6)
    frames = [fresh.reset()]
    for tick in range(TICKS):
        frames.append(fresh.step(draw(fresh, frames[-1], np.random.default_rng(tick))))
    fresh.close()
    for a, b, c in zip(first, again, frames, strict=True):
        one = arrays(a)
        for other in (arrays(b), arrays(c)):
            assert one.keys() == other.keys()
            for name, values in one.items():
                assert np.array_equal(values, other[name], equal_nan=True), name


def test_another_seed_gives_another_world(world):
    first, other = play(world, seed=7, ticks=2), play(world, seed=8, ticks=2)
    assert not np.array_equal(first[0].state, other[0].state)


def test_copies_differ_from_each_other(world):
    state = world.reset(9).state
    assert len(np.unique(state, axis=0)) == world.spec.n_envs


def test_what_is_done_to_one_copy_never_reaches_another(world):
    quiet, disturbed = play(world, seed=10), play(world, seed=10, disturbed=True)
    changed = False
    for a, b in zip(quiet, disturbed, strict=True):
        one, other = arrays(a), arrays(b)
        for name in one.keys() & other.keys():
            assert np.array_equal(one[name][1:], other[name][1:], equal_nan=True), name
        changed |= not np.array_equal(a.state[0], b.state[0])
    assert changed


@pytest.mark.parametrize("name", SMALL)
def test_copies_of_one_scenario_differ_only_in_what_is_done(name):
    case = CASES[name]
    world = simulator.make(case.name, 4, 15, {}, copies_per_scenario=2, **case.options)
    alone = simulator.make(case.name, 2, 15, {}, **case.options)
    first = world.reset()
    for rows in (first.state, first.rewards):
        assert np.array_equal(rows[0::2], rows[1::2])
        assert not np.array_equal(first.state[0], first.state[2])
    rest = {agent: world.fallback(agent) for agent in world.spec.agents}
    other = {agent: rows[:2] for agent, rows in rest.items()}
    alone.reset()
    for _ in range(TICKS):
        frame, scenarios = world.step(rest), alone.step(other)
        assert np.array_equal(frame.state[0::2], frame.state[1::2])
        assert np.array_equal(frame.state[0::2], scenarios.state)
    actions = draw(world, world.reset(16), np.random.default_rng(0))
    moved = world.step(
        {agent: np.concatenate([rest[agent][:1], rows[1:]]) for agent, rows in actions.items()}
    )
    world.reset(16)
    still = world.step(rest)
    assert np.array_equal(moved.state[0], still.state[0])
    assert not np.array_equal(moved.state[0], moved.state[1])
    world.close(), alone.close()


@pytest.mark.parametrize("wrong", [0, 3, 2.0, "2", True])
def test_scenarios_have_equally_many_copies(wrong):
    fault = re.escape(f"copies_per_scenario is {wrong!r}, expected a divisor of n_envs = 4")
    with pytest.raises(OptionError, match=fault):
        simulator.make("synthetic", 4, copies_per_scenario=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True])
def test_there_is_at_least_one_copy(wrong):
    for name in SMALL:
        with pytest.raises(OptionError, match=re.escape(f"n_envs is {wrong!r}, expected a whole number")):
            simulator.make(CASES[name].name, wrong)


def test_frames_are_not_changed_by_later_steps(world):
    frame = world.reset(11)
    kept = {name: values.copy() for name, values in arrays(frame).items()}
    world.step(draw(world, frame, np.random.default_rng(0)))
    assert all(np.array_equal(values, kept[name]) for name, values in arrays(frame).items())


def test_actions_that_are_none_are_refused_and_leave_the_world_as_it_was(world):
    frame = world.reset(12)
    good = draw(world, frame, np.random.default_rng(0))
    agent = world.spec.agents[0]
    space = world.spec.action_space(agent)
    wrong: list[Any] = [good[agent][:-1], good[agent].astype("U8")]
    if isinstance(space, spaces.Box):
        outside, nan = good[agent].copy(), good[agent].copy()
        outside[-1, 0], nan[0, 0] = space.high[0] + 1, np.nan
        wrong += [outside, nan, good[agent][..., None]]
    else:
        outside, negative = good[agent].copy(), good[agent].copy()
        outside.flat[-1], negative.flat[0] = np.max(getattr(space, "nvec", getattr(space, "n", 0))), -1
        wrong += [outside, negative, good[agent].astype(float)]
    cases = [{**good, agent: bad} for bad in wrong]
    cases += [{**good, "nobody": good[agent]}, {a: v for a, v in good.items() if a != agent}]
    for actions in cases:
        with pytest.raises(ActionError):
            world.step(actions)
        with pytest.raises(ActionError):
            world.grid.step(actions)
    after = world.step(good)
    world.reset(12)
    expected = world.step(good)
    assert np.array_equal(after.state, expected.state)


def test_the_fallback_is_an_action(world):
    world.reset(13)
    for _ in range(2):
        for agent in world.spec.agents:
            space, rest = world.spec.action_space(agent), world.fallback(agent)
            assert rest.shape == (world.spec.n_envs, *(space.shape or ()))
            assert all(space.contains(row if space.shape else int(row)) for row in rest)
        frame = world.step({}, missing=world.spec.agents)
        assert (frame.verdicts == Verdict.LATE).all()
        assert set(frame.applied) == set(world.spec.agents)


def test_closing_twice_is_no_mistake(case):
    world = case.make(copies=1)
    world.close(), world.close()


def test_unknown_options_are_refused_by_name(case):
    for build in (simulator.agent_names, simulator.make):
        with pytest.raises(OptionError, match="colour"):
            build(case.name, **case.options, colour="red")
    with pytest.raises(OptionError, match="n_envs is 0"):
        simulator.make(case.name, n_envs=0)


@pytest.mark.parametrize("name", ["frequency69", "", "grid3op:rte_case14_realistic"])
def test_unknown_grids_are_refused_by_name(name):
    for build in (simulator.make, simulator.agent_names):
        with pytest.raises(UnknownGridError, match=f"grid '{name}': no such grid"):
            build(name)


@pytest.mark.parametrize("name", ["frequency68", "microgrid6", "microgrid20", "synthetic"])
@pytest.mark.parametrize("variant", [":small", ":"])
def test_variants_are_refused_where_there_are_none(name, variant):
    for build in (simulator.make, simulator.agent_names):
        with pytest.raises(UnknownGridError, match=f"grid '{name}{variant}': '{name}' has no variants"):
            build(f"{name}{variant}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        *[({"seed": seed}, "seed is .*, expected a whole number") for seed in (-1, None, "a", 1.5, True)],
        *[({"smoothing": share}, "smoothing is .*, expected a number in") for share in ("x", None, 1, True)],
        ({"smoothing": float("nan")}, "smoothing is nan"),
        ({"copies_per_scenario": 0}, "copies_per_scenario is 0"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_grid_is_made(arguments, said):
    with pytest.raises(OptionError, match=f"grid 'synthetic': {said}"):
        simulator.make("synthetic", n_envs=2, **arguments)


def test_a_seed_may_be_numpys():
    assert np.array_equal(
        simulator.make("synthetic", seed=np.int64(3)).reset().state,
        simulator.make("synthetic", seed=3).reset().state,
    )
