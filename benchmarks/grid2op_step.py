"""Measure what a step and a reset of `grid2op:<environment>` cost per copy, and what our part of it is."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from simulator.transmission.environment import make_environment, quiet
from simulator.transmission.family import make_grid
from simulator.transmission.grid import TransmissionGrid
from simulator.transmission.options import Options

STEPS = 60  # few enough that do-nothing stays alive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", default="rte_case14_realistic")
    parser.add_argument("--n-envs", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="the median of these is shown")
    arguments = parser.parse_args()
    name, n_envs = arguments.environment, arguments.n_envs

    raw, ours = compare(name, n_envs, arguments.repeats)
    spread = time_grid(name, n_envs, arguments.repeats, workers=arguments.workers)
    stock = time_stock_reset(name)
    cached = time_cached_reset(name)
    rows = [
        ("raw env.step, do nothing", raw * 1e6, 1 / raw),
        ("Grid.step, one process", ours * 1e6, 1 / ours),
        (f"Grid.step, {arguments.workers} workers", spread * 1e6, 1 / spread),
        ("env.reset, chronics read from disk", stock * 1e6, 1 / stock),
        ("env.reset, shared chronics", cached * 1e6, 1 / cached),
    ]
    print(f"{name}, {n_envs} copies, per copy")
    print(f"{'':38} {'us':>10} {'1/s':>10}")
    for label, micros, rate in rows:
        print(f"{label:38} {micros:10.0f} {rate:10.0f}")
    print(f"our part of a step: {100 * (ours / raw - 1):.0f} % of grid2op's")


def compare(name: str, n_envs: int, repeats: int) -> tuple[float, float]:
    """Return seconds per copy and step: raw, and through the grid, measured in turns."""
    grid = make_grid(f"grid2op:{name}", n_envs, 0, split="all", gate=9.0)
    envs = [make_environment(name, Options())]
    with quiet():
        envs += [envs[0].copy() for _ in range(n_envs - 1)]
        nothing = [env.action_space() for env in envs]

    def raw_step() -> None:
        for env, action in zip(envs, nothing, strict=True):
            env.step(action)

    times = []
    for _ in range(repeats):
        with quiet():
            for env in envs:
                env.set_id(0)
                env.reset()
            raw = clock(raw_step, STEPS) / n_envs
        times.append((raw, step_time(grid, n_envs)))
    grid.close()
    return tuple(np.median(times, axis=0).tolist())


def time_grid(name: str, n_envs: int, repeats: int, workers: int) -> float:
    """Return seconds per copy and step with worker processes."""
    grid = make_grid(f"grid2op:{name}", n_envs, 0, split="all", gate=9.0, workers=workers)
    times = [step_time(grid, n_envs) for _ in range(repeats)]
    grid.close()
    return float(np.median(times))


def step_time(grid: TransmissionGrid, n_envs: int) -> float:
    grid.reset(0)
    nothing = {agent: grid.fallback(agent) for agent in grid.spec.agents}
    return clock(lambda: grid.step(nothing), STEPS) / n_envs


def time_stock_reset(name: str) -> float:
    """Return seconds of a reset as grid2op comes."""
    with quiet():
        import grid2op
        from lightsim2grid import LightSimBackend

        env = grid2op.make(name, test=True, backend=LightSimBackend())
        env.reset()
        seconds = clock(env.reset, 5)
        env.close()
    return seconds


def time_cached_reset(name: str) -> float:
    """Return seconds of a reset to the middle of a chronic."""
    env = make_environment(name, Options())
    middle = env.max_episode_duration() // 2
    with quiet():
        seconds = clock(lambda: env.reset(options={"init ts": middle}), 20)
    env.close()
    return seconds


def clock(call: Callable[[], object], times: int) -> float:
    """Return the mean seconds of a call."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main()
