"""MAPPO in one process, in plain torch: what distributing the agents over processes costs.

    python benchmarks/single_process.py                      speed and return on frequency68
    python benchmarks/single_process.py --updates 600        about a million environment steps
    python benchmarks/single_process.py --independent        a policy for each agent, as in the ensemble
    python benchmarks/single_process.py --ensemble           the launch file's ensemble of processes beside it

The trainer is in `mappo.py`; it has the grid and the settings of the launch file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch as th
from mappo import Mappo, read_spec

ROOT = Path(__file__).parents[1]


def ensemble_rate(file: Path, overrides: list[str]) -> float:
    """Return the environment steps per second of an ensemble of processes that learns, from its timings."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable,
            "launch/run_ensemble.py",
            str(file),
            *overrides,
            "evaluate=false",
            "--run-dir",
            str(run),
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        timing = json.loads((run / "timing" / "simulator.json").read_text())
    return float(timing["ticks"] * timing["n_envs"] / sum(timing["seconds"].values()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="laid over the launch file")
    parser.add_argument("--file", type=Path, default=ROOT / "launch/files/frequency68.yaml")
    parser.add_argument("--updates", type=int, default=30, help="rollouts to learn from (30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=64, help="held-out episodes (64); 0: none")
    parser.add_argument("--independent", action="store_true", help="a policy for each agent")
    parser.add_argument("--ensemble", action="store_true", help="measure the ensemble of processes, too")
    arguments = parser.parse_args()
    th.set_num_threads(1)
    spec = read_spec(arguments.file, arguments.overrides)
    mappo = Mappo(spec, arguments.seed, independent=arguments.independent)
    begin = time.perf_counter()
    for update in range(arguments.updates):
        mappo.update(1.0 - update / arguments.updates)
    seconds = time.perf_counter() - begin
    steps = arguments.updates * spec.agents.n_steps * spec.simulator.n_envs
    rate = steps / seconds
    whose = "a policy for each agent" if arguments.independent else "a shared actor"
    print(f"one process, {whose}: {steps:,} environment steps in {seconds:.0f} s, {rate:,.0f} a second")
    if arguments.episodes:
        returns = mappo.evaluate(arguments.episodes)
        mean, middle = returns.mean(), np.median(returns)
        print(f"return on {arguments.episodes} held-out episodes: mean {mean:.4g}, median {middle:.4g}")
    if arguments.ensemble:
        words = [*arguments.overrides, f"updates={arguments.updates}"]
        bus = ensemble_rate(arguments.file, words)
        print(f"ensemble of processes: {bus:,.0f} environment steps a second, {bus / rate:.2f} x one process")


if __name__ == "__main__":
    main()
