"""Environment steps per second of processor time of the microgrids, against size and number of copies.

python benchmarks/microgrid_speed.py [--seconds 1.0]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import fields

import numpy as np

import simulator
from simulator.microgrid import cases, dynamics
from simulator.microgrid.family import make_grid
from simulator.microgrid.types import Fidelity, State, System


def rate(work: Callable[[], object], steps: int, seconds: float) -> float:
    """Return steps per second of processor time of `work`, which does `steps`; the best of three."""
    work()
    best = 0.0
    for _ in range(3):
        count, start = 0, time.process_time()
        while (spent := time.process_time() - start) < seconds / 3 or not count:
            work()
            count += 1
        best = max(best, count * steps / spent)
    return best


def physics(system: System, n_envs: int, seconds: float, fidelity: Fidelity = Fidelity.STANDARD) -> float:
    """Return environment steps per second of dynamics.step."""
    rng = np.random.default_rng(0)
    volts = rng.uniform(system.v_min, system.v_max, (n_envs, system.n_dg))
    loads = rng.uniform(0.8, 1.2, (2, n_envs, system.n_load))
    state = dynamics.step(system, dynamics.init(system, n_envs), volts, *loads)
    return rate(lambda: dynamics.step(system, state, volts, *loads, fidelity=fidelity), n_envs, seconds)


def acting(name: str, n_envs: int, seconds: float, linked: bool) -> float:
    """Return environment steps per second of whole episodes with warm-up, loads, features and rewards."""
    grid = simulator.make(name, n_envs) if linked else make_grid(name, n_envs, 0)
    grid.reset()
    rng = np.random.default_rng(0)
    actions = {agent: rng.integers(0, 10, n_envs) for agent in grid.spec.agents}

    def episode() -> None:
        for _ in range(20):
            grid.step(actions)

    return rate(episode, 20 * n_envs, seconds)


def bytes_per_copy(state: State) -> float:
    """Return the memory of the State of one copy."""
    return float(sum(getattr(state, f.name).nbytes for f in fields(state))) / state.n_envs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="per figure")
    seconds = parser.parse_args().seconds
    names = ("microgrid6", "microgrid20")
    systems = {name: cases.read_system(cases.DATA / name) for name in names}

    print("E = 64, environment steps per second of one core's time\n")
    print(f"{'':<44}" + "".join(f"{name:>13}" for name in names))
    for fidelity in Fidelity:
        rates = [physics(systems[name], 64, seconds, fidelity) for name in names]
        print(f"{'physics, ' + fidelity:<44}" + "".join(f"{r:>13.0f}" for r in rates))
    for linked, what in (
        (False, "episodes of the grid, 0.4 s warm-up included"),
        (True, "... behind its SCADA link"),
    ):
        rates = [acting(name, 64, seconds, linked) for name in names]
        print(f"{what:<44}" + "".join(f"{r:>13.0f}" for r in rates))

    print("\nphysics against the number of copies, environment steps/s\n")
    print(f"{'E':>6}" + "".join(f"{name:>13}" for name in names))
    for n_envs in (1, 4, 16, 64, 256, 1024):
        rates = [physics(systems[name], n_envs, seconds) for name in names]
        print(f"{n_envs:>6}" + "".join(f"{r:>13.0f}" for r in rates))

    print("\nphysics against the number of DGs (ring, E = 8)\n")
    print(f"{'DGs':>6} {'steps/s':>9} {'µs per step and DG':>19} {'kB per copy':>12}")
    for n_dg in (20, 40, 80, 160, 320, 640):
        system = cases.ring(n_dg)
        r = physics(system, 8, seconds)
        size = bytes_per_copy(dynamics.init(system, 1)) / 1e3
        print(f"{n_dg:>6} {r:>9.0f} {1e6 / r / n_dg:>19.1f} {size:>12.1f}")
    for name in names:
        print(f"{name}: {bytes_per_copy(dynamics.init(systems[name], 1)) / 1e3:.1f} kB per copy")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
