"""Environment steps per second of the frequency grid on one core, its growth, and memory per copy.

    OPENBLAS_NUM_THREADS=1 python benchmarks/frequency68_speed.py [--seconds 1.0]

Seconds are processor seconds of the whole process, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

import simulator
from simulator.frequency import case68
from simulator.frequency.grid import FrequencyGrid
from simulator.frequency.options import Options

MAX_TILES = 10


def rate(step: Callable[[], object], n_envs: int, seconds: float) -> float:
    """Return environment steps per processor second, the best of three, after some untimed steps."""
    for _ in range(5):
        step()
    best = 0.0
    for _ in range(3):
        count, start = 0, time.process_time()
        while (spent := time.process_time() - start) < seconds / 3 or not count:
            step()
            count += 1
        best = max(best, count * n_envs / spent)
    return best


def stepping(grid: simulator.Grid) -> Callable[[], object]:
    """Return a function that does one tick with random actions."""
    rng = np.random.default_rng(0)
    spec = grid.spec
    grid.reset(0)
    drawn = [
        {
            a: rng.uniform(-1, 1, (spec.n_envs, *spec.action_spaces[a].shape)).astype(np.float32)
            for a in spec.agents
        }
        for _ in range(8)
    ]
    turn = iter(range(10**9))
    return lambda: grid.step(drawn[next(turn) % len(drawn)])


def made(n_envs: int, tiles: int = 1, **options: object) -> FrequencyGrid:
    chosen = Options.from_dict({"demand_mw": 3500.0 * tiles, **options})
    return FrequencyGrid(n_envs, 0, chosen, case68.tiled(tiles) if tiles > 1 else None)


def memory_per_copy(n_envs: int = 64) -> float:
    """Return the bytes that one more copy takes, after steps."""
    sizes = []
    for n in (n_envs, 2 * n_envs):
        tracemalloc.start()
        grid = made(n)
        step = stepping(grid)
        for _ in range(3):
            step()
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (sizes[1] - sizes[0]) / n_envs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    seconds = parser.parse_args().seconds
    print("| what, E=64 | environment steps/s |\n| --- | --- |")
    print(f"| linear flow | {rate(stepping(made(64)), 64, seconds):,.0f} |", flush=True)
    print(f"| sine flow | {rate(stepping(made(64, flow='sine')), 64, seconds):,.0f} |", flush=True)
    world = simulator.make("frequency68", n_envs=64)
    print(f"| behind the SCADA link | {rate(stepping(world), 64, seconds):,.0f} |", flush=True)
    print("\n| E | environment steps/s | ms per tick |\n| --- | --- | --- |")
    for n_envs in (1, 4, 16, 64, 256, 1024):
        got = rate(stepping(made(n_envs)), n_envs, seconds)
        print(f"| {n_envs} | {got:,.0f} | {1000 * n_envs / got:.2f} |", flush=True)
    print("\n| buses, E=64 | agents | environment steps/s | µs per step and bus |\n| --- | --- | --- | --- |")
    for tiles in (1, 2, 4, MAX_TILES):
        grid = made(64, tiles)
        got = rate(stepping(grid), 64, seconds)
        per_bus = 1e6 / got / (68 * tiles)
        print(f"| {68 * tiles} | {len(grid.spec.agents)} | {got:,.0f} | {per_bus:.2f} |", flush=True)
    print(f"\nmemory per copy: {memory_per_copy() / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
