"""Worker processes give the results of one process, and leave nothing behind."""

from __future__ import annotations

import os

import numpy as np
import pytest

from simulator.errors import SimulatorError
from simulator.transmission.family import make_grid

pytestmark = pytest.mark.timeout(90)
CASE14 = "grid2op:rte_case14_realistic"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def play(grid, n_steps):
    rng, frames = np.random.default_rng(0), [grid.reset()]
    for _ in range(n_steps):
        actions = {
            agent: np.array([rng.choice(np.flatnonzero(row)) for row in mask])
            for agent, mask in frames[-1].masks.items()
        }
        frames.append(grid.step(actions))
    return frames


@pytest.fixture(scope="module")
def shared():
    grid = make_grid(CASE14, 3, 9, gate=0, workers=2)
    yield grid
    grid.close()


def test_workers_give_bit_for_bit_what_one_process_gives(shared):
    alone = make_grid(CASE14, 3, 9, gate=0)
    for one, two in zip(play(alone, 40), play(shared, 40), strict=True):
        for name in ("state", "rewards", "terminated", "truncated", "verdicts", "final_state"):
            a, b = getattr(one, name), getattr(two, name)
            assert (a is None and b is None) or np.array_equal(a, b), name
        assert all(np.array_equal(one.info[name], two.info[name]) for name in one.info)
    alone.close()


def test_a_worker_that_dies_is_reported_and_the_others_end(shared):
    processes = list(shared._copies._processes)
    pids = [process.pid for process in processes]
    assert len(pids) == 2
    processes[1].kill()
    processes[1].join()
    with pytest.raises(SimulatorError, match="worker 1 of 2"):
        shared.step({agent: shared.fallback(agent) for agent in shared.spec.agents})
    shared.close()
    shared.close()
    assert not any(alive(pid) for pid in pids)
