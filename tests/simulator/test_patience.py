"""How long a tick waits for whom: longest for who never answered, hardly for who missed the last deadline."""

from __future__ import annotations

import pytest

from simulator.patience import Patience
from simulator.settings import SimulatorSettings


@pytest.fixture
def patience() -> Patience:
    return Patience(SimulatorSettings(start_deadline_s=120.0, deadline_s=60.0, retry_s=0.5))


def test_a_deadline_shortens_with_the_first_answer_and_with_each_that_is_missed(patience):
    assert patience.limit_s("north") == 120.0
    patience.answer("north")
    assert patience.limit_s("north") == 60.0
    assert patience.limit_s("south") == 120.0
    patience.give_up(["north"])
    assert patience.limit_s("north") == 0.5
    patience.hear("north")
    assert patience.limit_s("north") == 60.0


def test_a_missed_deadline_is_news_once_until_the_agent_is_heard(patience):
    assert patience.give_up(["north"]) == ["north"]
    assert patience.give_up(["north", "south"]) == ["south"]
    patience.hear("north")
    assert patience.give_up(["north", "south"]) == ["north"]


def test_who_is_slow_has_used_up_half_of_its_time_and_who_is_overdue_all_of_it(patience):
    patience.answer("north")
    everyone = ["north", "south"]
    assert (patience.slow(everyone, 30.0), patience.overdue(everyone, 60.0)) == ({}, [])
    assert (patience.slow(everyone, 31.0), patience.overdue(everyone, 61.0)) == ({"north": 60.0}, ["north"])
    assert patience.slow(everyone, 61.0) == {"north": 60.0, "south": 120.0}
    patience.give_up(["north"])
    assert patience.slow(everyone, 59.0) == {}  # it is no news that the other one is
    assert patience.overdue(everyone, 1.0) == ["north"]
