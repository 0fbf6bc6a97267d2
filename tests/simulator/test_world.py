"""What agents see of a grid, and when their commands take effect, through a SCADA link."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simulator.errors import ActionError, OptionError
from simulator.frame import Verdict
from simulator.link_config import AgentLink, ChannelConfig, Delay, LinkConfig, fixed_delay
from simulator.world import World
from tests.grids import CounterGrid


def link(**measurement) -> LinkConfig:
    return LinkConfig(AgentLink(measurement=ChannelConfig(**measurement)))


def commands(**settings) -> LinkConfig:
    settings = {"on_missing": "default", **settings}
    return LinkConfig(AgentLink(command=ChannelConfig(**settings)))


def act(world: World, left: int = 0, right: int = 0) -> dict[str, np.ndarray]:
    n = world.spec.n_envs
    return {"left": np.full(n, left), "right": np.full(n, right)}


def run(world: World, ticks: int, seed: int = 1) -> list:
    frames = [world.reset(seed)]
    frames += [world.step(act(world, left=1)) for _ in range(ticks)]
    return frames


def counts(frames: list, agent: str = "left") -> np.ndarray:
    """Return (ticks, E): the counts that the agent is shown, without the seed's offset."""
    return np.stack([f.observations[agent][:, 0] for f in frames]) % 1000


@pytest.mark.parametrize("delay", [0, 1, 2, 5])
def test_a_measurement_is_shown_exactly_so_many_ticks_late(delay):
    world = World(CounterGrid(length=100), fixed_delay(delay))
    frames = run(world, 20)
    expected = np.maximum(np.arange(21) - delay, 0)
    assert np.array_equal(counts(frames), np.repeat(expected[:, None], 3, axis=1))
    assert np.array_equal(frames[-1].measured_ticks["left"], [20 - delay] * 3)


def test_a_delay_in_seconds_arrives_at_the_next_tick_after_it():
    for seconds, ticks in ((2.0, 1), (2.1, 2), (4.0, 2), (0.5, 1)):
        world = World(CounterGrid(length=100), link(delay=Delay(fixed=seconds, unit="seconds")))
        assert counts(run(world, 10))[10, 0] == 10 - ticks


def test_a_command_takes_effect_exactly_so_many_ticks_late():
    world = World(CounterGrid(length=100), commands(delay=Delay(fixed=2)))
    world.reset(0)
    applied = []
    for action in (1, 2, 3, 1, 0, 0):
        frame = world.step(act(world, left=action))
        applied.append((int(frame.applied["left"][0]), Verdict(frame.verdicts[0, 0])))
    late, fine = Verdict.LATE, Verdict.APPLIED
    assert applied == [(0, late), (0, late), (1, fine), (2, fine), (3, fine), (1, fine)]


def test_a_new_episode_starts_with_its_own_first_measurement():
    world = World(CounterGrid(n_envs=1, length=5), fixed_delay(3))
    frames = run(world, 8)
    assert counts(frames)[:, 0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert frames[5].truncated[0]
    # Three ticks late even at the end: the last count shown of the old episode is 5 - 3.
    assert frames[5].final_observations["left"][0, 0] % 1000 == 2


def test_loss_holds_the_last_value_and_its_age_tells():
    world = World(CounterGrid(n_envs=200, length=1000), link(loss=0.3))
    frames = run(world, 60)
    shown = counts(frames)
    stale = shown != np.arange(61)[:, None]
    assert 0.25 < stale[5:].mean() < 0.35
    assert (np.diff(shown, axis=0) >= 0).all()
    for tick, frame in enumerate(frames):
        assert np.array_equal(frame.measured_ticks["left"], shown[tick])


def test_a_lost_measurement_can_read_as_zero():
    world = World(CounterGrid(n_envs=50, length=1000), link(loss=0.5, on_missing="default"))
    frames = run(world, 20, seed=3)
    raw = np.stack([f.observations["left"][:, 0] for f in frames[1:]])
    lost = raw == 0
    assert 0.3 < lost.mean() < 0.7


def test_masks_are_held_where_a_lost_measurement_reads_as_zero():
    world = World(CounterGrid(n_envs=50, length=1000), link(loss=0.5, on_missing="default"))
    frames = run(world, 20, seed=3)
    for frame in frames:
        mask = frame.masks["left"]
        assert mask[:, :3].all()
        assert np.array_equal(mask[:, 3], frame.measured_ticks["left"] % 3 == 0)


def test_a_delay_drawn_per_episode_is_that_of_all_agents_and_siblings():
    delay = Delay(distribution="choice", choices=(0.0, 1.0, 2.0, 5.0), every="episode")
    world = World(CounterGrid(n_envs=40, length=1000), link(delay=delay), copies_per_scenario=4)
    frames = run(world, 30)[6:]
    left, right = (np.stack([f.measured_ticks[agent] for f in frames]) for agent in ("left", "right"))
    assert np.array_equal(left, right)
    age = np.arange(6, 31)[:, None] - left
    assert (age == age[0]).all()
    assert (age[0].reshape(10, 4) == age[0, ::4, None]).all()
    assert len(set(age[0])) > 2


def test_a_link_that_keeps_order_never_shows_an_older_value_than_before():
    delay = Delay(distribution="uniform", mean=4.0)
    kept = World(CounterGrid(n_envs=50, length=1000), link(delay=delay))
    assert (np.diff(counts(run(kept, 80)), axis=0) >= 0).all()
    mixed = World(CounterGrid(n_envs=50, length=1000), link(delay=delay, reorder=True))
    assert (np.diff(counts(run(mixed, 80)), axis=0) < 0).any()


def test_noise_has_the_standard_deviation_that_was_asked_for_and_quanta_are_exact():
    noisy = World(CounterGrid(n_envs=300, length=1000), link(noise_std=0.25))
    frames = run(noisy, 20)
    error = np.stack([f.observations["left"][:, 1] for f in frames[2:]]) - 1.0
    assert abs(error.std() - 0.25) < 0.01
    coarse = World(CounterGrid(length=1000), link(quantum=4.0))
    shown = np.stack([f.observations["left"][:, 0] for f in run(coarse, 20)])
    assert (shown % 4 == 0).all()


def test_a_deadband_reports_only_what_moved_enough():
    world = World(CounterGrid(length=1000, masks=False), link(deadband=2.5))
    shown = counts(run(world, 12))[:, 0]
    assert shown.tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12]


def test_what_a_deadband_keeps_back_is_not_missing():
    world = World(CounterGrid(length=1000, masks=False), link(deadband=2.5, on_missing="default"))
    assert counts(run(world, 7))[:, 0].tolist() == [0, 0, 0, 3, 3, 3, 6, 6]


@pytest.mark.parametrize("on_missing", ["default", "hold"])
def test_a_command_that_stays_within_its_deadband_goes_on_to_be_applied(on_missing):
    world = World(CounterGrid(length=100, box=True), commands(deadband=0.1, on_missing=on_missing))
    world.reset(0)
    half = np.full((3, 1), 0.5, np.float32)
    for _ in range(4):
        frame = world.step({"left": half, "right": half})
        assert (frame.applied["left"] == 0.5).all()
        assert (frame.verdicts == Verdict.APPLIED).all()
    frame = world.step({"left": half}, missing=["right"])
    assert (frame.applied["right"] == (0.0 if on_missing == "default" else 0.5)).all()
    assert (frame.verdicts == [Verdict.APPLIED, Verdict.LATE]).all()


def test_nothing_arrives_in_an_outage():
    world = World(CounterGrid(length=1000), link(outages=((6.0, 14.0),)))
    shown = counts(run(world, 10))[:, 0]
    assert shown.tolist() == [0, 1, 2, 2, 2, 2, 2, 7, 8, 9, 10]


def test_the_same_seed_gives_the_same_link_and_another_seed_another():
    delay = {"distribution": "gamma", "mean": 2, "std": 1}
    measurement = {"loss": 0.3, "noise_std": 0.1, "delay": delay}
    config = LinkConfig.from_dict({"default": {"measurement": measurement, "command": {"loss": 0.2}}})
    first, again, other = (run(World(CounterGrid(), config), 40, seed) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.observations["left"], b.observations["left"])
        assert np.array_equal(a.in_flight, b.in_flight)
    assert any(
        not np.array_equal(a.measured_ticks["left"], b.measured_ticks["left"])
        for a, b in zip(first, other, strict=True)
    )


def test_one_copys_actions_never_change_what_another_copy_is_shown():
    config = link(loss=0.3, delay=Delay(distribution="uniform", mean=2.0))
    quiet, busy = World(CounterGrid(), config), World(CounterGrid(), config)
    quiet.reset(5), busy.reset(5)
    for tick in range(30):
        a = quiet.step(act(quiet))
        actions = act(busy)
        actions["left"][0] = tick % 3
        b = busy.step(actions)
        assert np.array_equal(a.observations["left"][1:], b.observations["left"][1:])


def test_in_flight_holds_what_is_under_way_newest_first():
    world = World(CounterGrid(n_envs=1, length=100), fixed_delay(2))
    frames = run(world, 6, seed=4)
    offset = frames[0].state[0, 0]
    # Two agents, two measurements under way each, with (count, own action).
    left = frames[6].in_flight[0, :4] - [offset, 0, offset, 0]
    assert left.tolist() == [6, 1, 5, 1]
    assert world.link.in_flight_dim == frames[6].in_flight.shape[1] == 8


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_in_flight_ends_with_the_command_that_acts_next(delay):
    world = World(CounterGrid(n_envs=1, length=100, box=True), commands(delay=Delay(fixed=delay)))
    world.reset(0)
    frames = [world.step({a: np.full((1, 1), tick / 10, np.float32) for a in ("left", "right")})
              for tick in range(1, 9)]  # fmt: skip
    for before, after in itertools.pairwise(frames):
        assert before.in_flight.shape == (1, 2 * delay)
        assert before.in_flight[0, delay - 1] == after.applied["left"][0, 0]


def test_in_flight_tells_in_how_many_ticks_a_command_acts():
    config = commands(delay=Delay(distribution="choice", choices=(2.0,)))
    world = World(CounterGrid(n_envs=1, length=100, box=True), config)
    world.reset(0)
    one = np.ones((1, 1), np.float32)
    left = [world.step({"left": one, "right": one}).in_flight[0, :4].tolist() for _ in range(3)]
    assert left == [[1, 2, 0, 0], [1, 2, 1, 1], [1, 2, 1, 1]]


def test_what_is_lost_is_not_drawn_from_a_scenarios_stream():
    seed, ticks = 3, 40
    world = World(CounterGrid(n_envs=1, length=100), link(loss=0.5))
    frames = run(world, ticks, seed)
    lost = np.array([frame.measured_ticks["left"][0] < tick for tick, frame in enumerate(frames)][1:])
    scenario = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 0)))  # copy 0, episode 0
    assert 10 < lost.sum() < 30
    assert not np.array_equal(lost, scenario.random(ticks) < 0.5)


def test_masks_travel_with_the_measurement_they_belong_to():
    now, late = World(CounterGrid(length=100), fixed_delay(0)), World(CounterGrid(length=100), fixed_delay(2))
    fresh, delayed = run(now, 12), run(late, 12)
    for tick in range(2, 13):
        assert np.array_equal(delayed[tick].masks["left"], fresh[tick - 2].masks["left"])


def test_smoothing_mixes_each_action_with_the_one_before():
    world = World(CounterGrid(length=100, box=True), LinkConfig(), smoothing=0.5)
    world.reset(0)
    one = np.ones((3, 1), np.float32)
    applied = [world.step({"left": one, "right": -one}).applied["left"][0, 0] for _ in range(3)]
    assert applied == [0.5, 0.75, 0.875]


def test_a_missing_agent_gets_the_fallback_and_a_refused_one_says_so():
    world = World(CounterGrid(length=100), LinkConfig())
    world.reset(0)
    frame = world.step({"left": np.ones(3, int)}, missing=["right"])
    assert frame.verdicts.tolist() == [[Verdict.APPLIED, Verdict.LATE]] * 3
    frame = world.step({"left": np.ones(3, int)}, refused=["right"])
    assert frame.verdicts[0, 1] == Verdict.ILLEGAL
    assert "not in the agent's action space" in world.spec.reasons[frame.verdict_details[0, 1]]


@pytest.mark.parametrize("loss", [0.0, 1e-12], ids=["clean", "lossy"])
@pytest.mark.parametrize("box", [False, True])
def test_a_missing_agents_command_is_held_where_the_link_is_told_to_hold(loss, box):
    world = World(CounterGrid(length=100, box=box), commands(on_missing="hold", loss=loss))
    world.reset(0)
    action = np.ones((3, 1), np.float32) if box else np.full(3, 2)
    rest = world.fallback("right")
    assert not world.step({"right": rest}, missing=["left"]).applied["left"].any()  # nothing to hold yet
    world.step({"left": action, "right": rest})
    for _ in range(2):
        frame = world.step({"right": rest}, missing=["left"])
        assert np.array_equal(frame.applied["left"], action)
        assert frame.applied["left"].dtype == action.dtype
        assert (frame.verdicts[:, 0] == Verdict.LATE).all()


def test_the_age_feature_is_the_age_in_ticks():
    config = LinkConfig(AgentLink(measurement=ChannelConfig(delay=Delay(fixed=2))), age_feature=True)
    world = World(CounterGrid(length=100), config)
    frames = run(world, 6)
    assert [f.observations["left"][0, -1] for f in frames] == [0, 1, 2, 2, 2, 2, 2]
    assert world.spec.observation_names["left"][-1] == "measurement_age"
    assert world.spec.observation_spaces["left"].contains(frames[-1].observations["left"][0])


def test_the_link_can_change_while_running():
    world = World(CounterGrid(length=100), fixed_delay(0))
    run(world, 10)
    world.set_link(fixed_delay(3))
    shown = [world.step(act(world)).observations["left"][0, 0] % 1000 for _ in range(6)]
    assert shown == [10, 10, 10, 11, 12, 13]
    with pytest.raises(OptionError, match="age_feature cannot change"):
        world.set_link(LinkConfig(age_feature=True))


def test_a_new_link_knows_how_old_its_first_values_are():
    delay = ChannelConfig(delay=Delay(fixed=3))
    late = LinkConfig(AgentLink(measurement=delay), age_feature=True)
    world = World(CounterGrid(length=100), late)
    run(world, 10)
    world.set_link(LinkConfig(age_feature=True))
    world.set_link(late)  # twice in one tick: what was shown in it is still as old
    frames = [world.step(act(world)) for _ in range(5)]
    ticks = [int(f.measured_ticks["left"][0]) for f in frames]
    assert ticks == [7, 7, 7, 11, 12]
    assert counts(frames)[:, 0].tolist() == ticks
    assert [f.observations["left"][0, -1] for f in frames] == [4, 5, 6, 3, 3]


@pytest.mark.parametrize("before", [LinkConfig(), commands(delay=Delay(fixed=1), on_missing="hold")])
def test_a_new_link_holds_the_commands_that_the_grid_last_received(before):
    world = World(CounterGrid(n_envs=2, length=3), before)
    world.reset(0)
    for _ in range(3):
        frame = world.step(act(world, left=1))
    assert frame.done.tolist() == [True, False]
    world.set_link(commands(delay=Delay(fixed=2), on_missing="hold"))
    world.set_link(commands(delay=Delay(fixed=2), on_missing="hold"))
    applied = [world.step(act(world, left=3)).applied["left"].tolist() for _ in range(3)]
    # An episode that has just begun has received nothing yet; in copy 1 the fallback begins with the next.
    assert applied == [[0, 1], [0, 0], [3, 0]]


def test_a_link_that_is_refused_leaves_the_old_one():
    world = World(CounterGrid(length=100), fixed_delay(2))
    run(world, 5)
    with pytest.raises(OptionError, match="its actions are choices"):
        world.set_link(commands(quantum=1.0))
    assert counts([world.step(act(world))])[0, 0] == 4
    assert counts(run(world, 5))[:, 0].tolist() == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ({"left": np.zeros(3, int)}, r"none for \['right'\]"),
        (dict.fromkeys(("left", "right", "up"), np.zeros(3, int)), r"unknown agents \['up'\]"),
        ({"left": np.zeros(2, int), "right": np.zeros(3, int)}, r"shape \(2,\), expected \(3,\)"),
        ({"left": np.full(3, 4), "right": np.zeros(3, int)}, "is 4 in some copy, expected 0 .. 3"),
        ({"left": np.zeros(3), "right": np.zeros(3, int)}, "type float64, expected integers"),
    ],
)  # fmt: skip
def test_actions_that_are_none_are_refused_by_name(actions, expected):
    world = World(CounterGrid(), LinkConfig())
    world.reset(0)
    with pytest.raises(ActionError, match=expected):
        world.step(actions)


def test_a_quantity_that_is_not_a_number_is_refused():
    world = World(CounterGrid(box=True), LinkConfig())
    world.reset(0)
    bad = np.array([[0.0], [np.nan], [0.0]], np.float32)
    with pytest.raises(ActionError, match=r"is nan in some copy, expected -1\.0 to 1\.0"):
        world.step({"left": bad, "right": np.zeros((3, 1), np.float32)})


def test_a_grid_cannot_step_before_its_reset():
    with pytest.raises(RuntimeError, match="call reset"):
        World(CounterGrid(), LinkConfig()).step(dict.fromkeys(("left", "right"), np.zeros(3, int)))
