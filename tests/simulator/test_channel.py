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
