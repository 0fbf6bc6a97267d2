"""Held-out days are not played in training; chronics are shared and entered at any step."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.transmission.environment import make_environment
from simulator.transmission.options import Options
from simulator.transmission.scenarios import Scenarios


def scenarios(split, n_steps, start, **options):
    chosen = Options(split=split, **options)
    return Scenarios(chosen, ("a", "b"), lambda _: (start, n_steps), 300.0)


def rows(scenario, start):
    """Return the times of an episode's observations: one more than steps; nobody acts on the last."""
    first = start + timedelta(minutes=5 * scenario.start)
    return [first + timedelta(minutes=5 * step) for step in range(scenario.length + 1)]


def is_held_out(time):
    return time.toordinal() % 5 == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40), st.integers(288, 4000), st.one_of(st.none(), st.integers(1, 2000)))
def test_training_sees_of_a_held_out_day_its_first_row_alone_and_that_only_at_an_episodes_end(
    offset, n_steps, max_steps
):
    start = datetime(2019, 1, 1) + timedelta(days=offset)
    seen = {
        split: [rows(s, start) for s in scenarios(split, n_steps, start, max_steps=max_steps).of(0)]
        for split in ("train", "eval", "all")
    }
    for *acted_on, last in seen["train"]:
        assert not any(is_held_out(time) for time in acted_on)
        assert not is_held_out(last) or (last.hour, last.minute) == (0, 0)
    for *acted_on, last in seen["eval"]:
        assert all(is_held_out(time) for time in acted_on)
        assert is_held_out(last) or (last.hour, last.minute) == (0, 0)
    assert len(seen["train"]) + len(seen["eval"]) == len(seen["all"])


def test_a_day_of_training_before_a_held_out_one_ends_with_that_days_first_row():
    start = datetime(2019, 1, 4)  # the day after the next is held out
    whole = [rows(s, start)[-1] for s in scenarios("train", 3 * 288, start).of(0)]
    assert whole == [datetime(2019, 1, 5), datetime(2019, 1, 6)]
    assert [is_held_out(time) for time in whole] == [False, True]


def test_episodes_start_with_the_day_and_end_with_the_chronic():
    start = datetime(2019, 1, 6)
    found = scenarios("all", 700, start, max_steps=None).of(0)
    assert [(s.start, s.length) for s in found] == [(0, 700), (288, 412)]
    found = scenarios("all", 700, start, max_steps=100).of(1)
    assert [(s.chronic, s.start, s.length) for s in found] == [(1, 0, 100), (1, 288, 100)]


def test_a_list_of_scenarios_is_played_in_turn():
    listed = scenarios("train", 700, datetime(2019, 1, 6), scenarios=((1, 5), (0, 650)), max_steps=60)
    played = [listed.listed(turn) for turn in range(3)]
    assert [(s.chronic, s.start, s.length) for s in played] == [(1, 5, 60), (0, 650, 50), (1, 5, 60)]


def test_entering_late_is_what_grid2op_gets_step_by_step(env):
    """grid2op's own fast_forward replays every step; ours jumps."""
    from grid2op.Chronics import GridValue

    series = type(env.chronics_handler.real_data)
    env.set_id(1)
    jumped = env.reset(options={"init ts": 700})
    ours = series.fast_forward
    try:
        series.fast_forward = lambda self, n: GridValue.fast_forward(self.data, n)
        env.set_id(1)
        replayed = env.reset(options={"init ts": 700})
    finally:
        series.fast_forward = ours
    for name in ("rho", "gen_p", "load_p", "load_q", "topo_vect"):
        assert (getattr(jumped, name) == getattr(replayed, name)).all()
    assert jumped.get_time_stamp() == replayed.get_time_stamp()
    steps = [env.step(env.action_space())[0].load_p for _ in range(3)]
    env.set_id(1)
    env.reset(options={"init ts": 700})
    assert np.array_equal(steps, [env.step(env.action_space())[0].load_p for _ in range(3)])


def test_copies_share_the_arrays_of_a_chronic_but_not_the_place_in_it(env):
    env.set_id(0)
    env.reset()
    other = env.copy()
    other.set_id(0)
    other.reset()
    one, two = env.chronics_handler.real_data.data, other.chronics_handler.real_data.data
    assert one.load_p is two.load_p
    env.step(env.action_space())
    assert one.current_index == two.current_index + 1
    other.close()


def test_random_maintenance_is_drawn_anew_for_every_episode_and_repeats_under_a_seed():
    env = make_environment("l2rpn_idf_2023", Options(opponent=False))

    def maintenance():
        out = []
        for _ in range(4):
            env.set_id(1)
            env.reset()
            out.append(env.chronics_handler.real_data.data.maintenance.copy())
        return out

    env.seed(3)
    first = maintenance()
    env.seed(3)
    second = maintenance()
    env.close()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(first[0], other) for other in first[1:])
