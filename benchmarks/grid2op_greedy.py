"""How far the greedy look-ahead gets on a launch file's held-out scenarios, and what a decision costs.

python benchmarks/grid2op_greedy.py [launch/files/case14.yaml] [--gate 0.95] [--workers 0]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from launch.arguments import parse_overrides
from launch.held_out import evaluator_settings
from launch.launch_file import read_launch_file
from launch.paths import checked
from simulator.transmission.family import make_grid
from simulator.transmission.greedy import THRESHOLD, SimulateGreedy


def main() -> None:
    """Play all scenarios once and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=Path("launch/files/case14.yaml"))
    parser.add_argument("--gate", type=float, default=THRESHOLD, help="rho from which on it acts")
    parser.add_argument("--workers", type=int, default=0, help="processes that share the copies")
    arguments = parser.parse_args()
    spec = checked(read_launch_file(arguments.file, parse_overrides([])).root)
    assert spec.evaluator is not None
    options = {**spec.simulator.options, **evaluator_settings(spec, ())["options"]}
    chosen = {"gate": arguments.gate, "workers": arguments.workers}
    _play(spec.simulator.grid, spec.evaluator.episodes, {**options, **chosen})


def _play(name: str, episodes: int, options: dict[str, object]) -> None:
    grid = make_grid(name, episodes, 0, **{**options, "forecasts": True})
    player = SimulateGreedy(grid)
    frame = grid.reset()
    survived, running = np.zeros(episodes), np.ones(episodes, np.bool_)
    acted, tried, looking, stepping, ticks = 0, 0, 0.0, 0.0, 0
    while running.any():
        allowed = np.sum([mask[:, 1:].sum(axis=1) for mask in grid.masks().values()], axis=0)
        tried += int((allowed[allowed > 0] + 1).sum())  # doing nothing is tried too
        start = time.perf_counter()
        actions = player.act()
        looked = time.perf_counter()
        frame = grid.step(actions)
        looking, stepping = looking + looked - start, stepping + time.perf_counter() - looked
        ticks += 1
        acted += int(np.sum([(chosen != 0) & running for chosen in actions.values()]))
        ended = running & frame.done
        survived[ended] = (frame.info["steps_survived"] / frame.info["episode_length"])[ended]
        running &= ~frame.done
    grid.close()
    print(f"{name}, {episodes} scenarios, acts from rho {options['gate']} on")
    print(f"survived share {survived.mean():.3f}, {int((survived == 1).sum())} in full; {acted} actions")
    print(f"{1e3 * looking / max(tried, 1):.2f} ms per action tried ({tried:,} tries, {looking:.1f} s); "
          f"{1e3 * stepping / ticks / episodes:.2f} ms per step of one copy")  # fmt: skip


if __name__ == "__main__":
    main()
