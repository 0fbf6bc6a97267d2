"""Learning rates and clip ranges follow a line over the whole run, whatever interrupts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stable_baselines3 import PPO

from agents.ensemble_files import newest_agent_file
from agents.errors import SettingsError
from agents.schedules import with_schedules
from agents.settings import AgentSettings
from tests.agents.learners import STEPS, simulation, start, stop_after_one_update, training

pytestmark = pytest.mark.timeout(90)

SCHEDULES = {
    **training().hyperparameters,
    "learning_rate": {"start": 1e-3, "end": 1e-4},
    "clip_range": {"start": 0.2, "end": 0.1},
}


def rates(folder: Path) -> list[float]:
    """The learning rate of each update whose policy is still there."""
    zips = sorted((folder / "models").glob("left-*.zip"))
    return [PPO.load(path, device="cpu").policy.optimizer.param_groups[0]["lr"] for path in zips]


def test_a_schedule_ends_with_the_last_update_whatever_was_dropped_on_the_way(tmp_path):
    with simulation("right") as world:
        worker = start(world, "left", training(tmp_path, updates=3, hyperparameters=SCHEDULES))
        right = world.hands["right"]
        for tick in range(STEPS + 3):
            right.await_tick(tick), right.act(tick)
        right.await_tick(STEPS + 3)
        world.order("reset", seed=9)
        for tick in range(2 * STEPS):
            right.await_tick(tick, epoch=2), right.act(tick, epoch=2)
        right.await_tick(2 * STEPS, epoch=2)
        assert worker.end() == 0
    assert rates(tmp_path) == pytest.approx([7e-4, 4e-4, 1e-4])


def test_a_schedule_goes_on_where_a_stopped_run_left_it(tmp_path):
    settings = training(tmp_path, updates=3, hyperparameters=SCHEDULES)
    stop_after_one_update(settings)
    first = rates(tmp_path)
    with simulation() as world:
        worker = start(world, "left", settings)
        start(world, "right", AgentSettings(baseline="do_nothing", max_ticks=2 * STEPS))
        assert worker.end() == 0
    assert first == pytest.approx([7e-4] * len(first))
    assert rates(tmp_path)[-2:] == pytest.approx([4e-4, 1e-4])
    last = tmp_path / "models" / newest_agent_file(tmp_path / "models", "left").file
    assert [PPO.load(last, device="cpu").clip_range(share) for share in (1.0, 0.0)] == [0.2, 0.1]


@pytest.mark.parametrize("ends", [{"start": 1e-3}, {"start": 1e-3, "end": 0.0}, {"start": 1, "end": "2"}])
def test_a_schedule_has_a_start_and_an_end(ends):
    with pytest.raises(SettingsError, match=r"clip_range is .*, expected a number, or start and end"):
        with_schedules({"clip_range": ends})


@pytest.mark.parametrize("ends", [{"start": True, "end": 0.1}, {"start": float("inf"), "end": 0.1}])
def test_the_ends_of_a_schedule_are_numbers(ends):
    with pytest.raises(SettingsError, match=r"learning_rate is .*, expected a number, or start and end"):
        with_schedules({"learning_rate": ends})


def test_only_some_hyperparameters_can_change():
    with pytest.raises(SettingsError, match=r"ent_coef is .*; only learning_rate, clip_range may change"):
        with_schedules({"ent_coef": {"start": 0.1, "end": 0.01}})
