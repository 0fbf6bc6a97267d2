"""One channel: how long its messages are under way, and what draws it."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.channel import Channel, Streams
from simulator.link_config import ChannelConfig, Delay

CHOICES = Delay(distribution="choice", choices=(0.0, 1.0, 2.0, 5.0), every="episode")


def channel(delay: Delay, n_envs: int, copies_per_scenario: int = 1, agent: int = 0) -> Channel:
    messages, episodes = (np.random.SeedSequence(7, spawn_key=(key, 0)) for key in (agent, 99))
    streams = Streams(messages, episodes, copies_per_scenario)
    return Channel(ChannelConfig(delay=delay, reorder=True), 1, n_envs, 2.0, streams)


def begin(link: Channel, copies: np.ndarray, tick: int) -> None:
    link.prime(copies, np.zeros((len(copies), 1), np.float32), tick)


def delays(link: Channel, n_envs: int, ticks: int, first: int = 1) -> np.ndarray:
    """Send in so many ticks, and return (messages, E): how long each was under way."""
    found = np.full((ticks, n_envs), -1)
    for tick in range(first, first + ticks + link.max_ticks + 1):
        if tick < first + ticks:
            link.send(np.zeros((n_envs, 1), np.float32), tick, np.zeros(n_envs))
        delivery = link.receive(tick)
        rows = np.flatnonzero(delivery.fresh & (delivery.sent_tick >= first))
        found[delivery.sent_tick[rows] - first, rows] = tick - delivery.sent_tick[rows]
    return found


@pytest.mark.parametrize("distribution", ["uniform", "gamma", "lognormal"])
def test_random_delays_have_the_mean_that_was_asked_for(distribution):
    # One message at a time: of several that arrive together only the newest is seen.
    delay = Delay(fixed=1, distribution=distribution, mean=3.0, std=1.0, limit_ticks=40)
    link = channel(delay, 400)
    begin(link, np.ones(400, np.bool_), 0)
    seen = np.concatenate([delays(link, 400, 1, first) for first in range(1, 3000, 60)])
    # Values arrive at whole ticks: rounding up adds half a tick on average.
    assert abs(seen.mean() - 4.5) < 0.1
    assert seen.min() >= 1


def test_a_delay_can_be_one_of_several():
    link = channel(Delay(distribution="choice", choices=(0.0, 1.0, 5.0)), 400)
    begin(link, np.ones(400, np.bool_), 0)
    seen = np.concatenate([delays(link, 400, 1, first) for first in range(1, 100, 10)])
    values, counted = np.unique(seen, return_counts=True)
    assert values.tolist() == [0, 1, 5]
    assert counted.min() > 1200


def test_choices_are_taken_as_written_however_long():
    seconds = Delay(unit="seconds", distribution="choice", choices=(0.0, 60.0))
    link = channel(seconds, 40)
    assert link.max_ticks == 30
    begin(link, np.ones(40, np.bool_), 0)
    assert set(delays(link, 40, 1).ravel()) == {0, 30}


def test_a_delay_drawn_per_episode_stays_and_is_shared_by_agents_and_siblings():
    one, other = (channel(CHOICES, 40, copies_per_scenario=4, agent=agent) for agent in (0, 1))
    for link in (one, other):
        begin(link, np.ones(40, np.bool_), 0)
    seen = delays(one, 40, 10)
    assert (seen == seen[0]).all()
    assert np.array_equal(seen, delays(other, 40, 10))
    by_scenario = seen[0].reshape(10, 4)
    assert (by_scenario == by_scenario[:, :1]).all()
    assert set(by_scenario[:, 0]) == {0, 1, 2, 5}


def test_a_delay_drawn_per_episode_does_not_depend_on_when_other_copies_end():
    everywhere, alone = np.ones(6, np.bool_), np.arange(6) == 3
    links = [channel(CHOICES, 6) for _ in range(2)]
    for link in links:
        begin(link, everywhere, 0)
    firsts = [delays(link, 6, 1)[0] for link in links]
    begin(links[0], alone, 20)
    begin(links[1], everywhere, 40)
    second, together = delays(links[0], 6, 1, 21)[0], delays(links[1], 6, 1, 41)[0]
    assert np.array_equal(firsts[0], firsts[1])
    assert second[3] == together[3]
    assert np.array_equal(second[~alone], firsts[0][~alone])
    assert not np.array_equal(together, firsts[1])


def reports(config: ChannelConfig, rows: list[float], times: list[float]) -> list[tuple[float, bool]]:
    """Send one number per tick, from tick 1; return what is held and whether it is fresh."""
    keys = (np.random.SeedSequence(7, spawn_key=(key, 0)) for key in (0, 99))
    link, got = Channel(config, 1, 1, 2.0, Streams(*keys)), []
    begin(link, np.ones(1, np.bool_), 0)
    for tick, (row, time) in enumerate(zip(rows, times, strict=True), start=1):
        link.send(np.full((1, 1), row, np.float32), tick, np.array([time]))
        delivery = link.receive(tick)
        got.append((float(delivery.values[0, 0]), bool(delivery.fresh[0])))
    return got


def test_silence_of_a_deadband_means_unchanged():
    config = ChannelConfig(deadband=0.1, on_missing="default")
    rows = [0.5, 0.55, 0.5, 0.75, 0.75]
    expected = [(0.5, True)] * 3 + [(0.75, True)] * 2
    assert reports(config, rows, [0.0] * 5) == expected
    late = ChannelConfig(deadband=0.1, on_missing="default", delay=Delay(fixed=2))
    assert reports(late, rows, [0.0] * 5) == [(0.0, False)] * 2 + expected[:3]


def test_silence_says_nothing_where_it_is_lost_or_the_report_was():
    config = ChannelConfig(deadband=0.1, on_missing="default", outages=((1.0, 2.0),))
    assert reports(config, [0.5] * 4, [0.0, 1.0, 2.0, 3.0]) == [
        (0.5, True), (0.0, False), (0.5, True), (0.5, True),
    ]  # fmt: skip
    # The report falls into the outage: what is held is not what the sender believes to be known.
    assert reports(config, [0.5] * 3, [1.0, 2.0, 3.0]) == [(0.0, False)] * 3


def test_a_row_without_news_keeps_the_tick_of_its_report():
    keys = (np.random.SeedSequence(7, spawn_key=(key, 0)) for key in (0, 99))
    link = Channel(ChannelConfig(deadband=0.1), 1, 1, 2.0, Streams(*keys))
    begin(link, np.ones(1, np.bool_), 0)
    ticks = []
    for tick, row in enumerate([0.0, 0.5, 0.5, 0.5], start=1):
        link.send(np.full((1, 1), row, np.float32), tick, np.zeros(1))
        ticks.append(int(link.receive(tick).sent_tick[0]))
    assert ticks == [0, 2, 2, 2]


def test_only_measured_columns_read_as_zero_where_nothing_arrives():
    keys = (np.random.SeedSequence(7, spawn_key=(key, 0)) for key in (0, 99))
    link = Channel(ChannelConfig(loss=1.0, on_missing="default"), 3, 2, 2.0, Streams(*keys), analog=2)
    link.prime(np.ones(2, np.bool_), np.ones((2, 3), np.float32), 0)
    link.send(np.full((2, 3), 2.0, np.float32), 1, np.zeros(2))
    assert link.receive(1).values.tolist() == [[0.0, 0.0, 1.0]] * 2
