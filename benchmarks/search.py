"""Search for hyperparameters: random trials of the one-process trainer, scored on validation scenarios.

    python benchmarks/search.py                                              frequency68, 16 trials
    python benchmarks/search.py --trials 8 --steps 20000                     a quick look

Each trial draws one value of every row of the space below, trains a policy for each agent (as the ensemble
does, but in one process) for the same number of environment steps, and is scored by its mean return on
scenarios that neither training nor the evaluations of docs/results.md use. The best come first;
beside the draws, one trial has the launch file's own values.

J. Bergstra and Y. Bengio, Random search for hyper-parameter optimization, JMLR 13 (2012).
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch as th
from mappo import Mappo, read_spec
from rich.progress import track

ROOT = Path(__file__).parents[1]
VALIDATION = 3000  # seed of the scenarios that trials are scored on
SPACE: dict[str, list[str]] = {
    "agents.n_steps": ["10", "25", "50"],
    "simulator.copies_per_scenario": ["1", "8", "16"],
    "agents.hyperparameters.learning_rate": ["3e-4", "1e-3", "2e-3"],
    "agents.hyperparameters.batch_size": ["400", "800", "1600"],
    "agents.hyperparameters.gamma": ["0.9", "0.95", "0.97", "0.99"],
    "agents.hyperparameters.gae_lambda": ["0.9", "0.95"],
    "agents.hyperparameters.clip_range": ["0.1", "0.2"],
}
SHORT = {name: name.rpartition(".")[2] for name in SPACE}


def trial(file: Path, overrides: list[str], drawn: dict[str, str], steps: int, seed: int) -> float:
    """Return the mean return that one setting reaches."""
    th.set_num_threads(1)
    spec = read_spec(file, [*overrides, *(f"{name}={value}" for name, value in drawn.items())])
    mappo = Mappo(spec, seed, independent=True)
    updates = max(1, steps // (spec.agents.n_steps * spec.simulator.n_envs))
    for update in range(updates):
        mappo.update(1.0 - update / updates)
    return float(mappo.evaluate(64, VALIDATION).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="laid over the launch file")
    parser.add_argument("--file", type=Path, default=ROOT / "launch/files/frequency68.yaml")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps of a trial (100,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws and of the training")
    parser.add_argument("--jobs", type=int, default=2, help="trials side by side (2)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    draws: list[dict[str, str]] = [{}]  # the launch file's own values
    draws += [
        {name: str(rng.choice(values)) for name, values in SPACE.items()} for _ in range(arguments.trials)
    ]
    read_spec(arguments.file, arguments.overrides)  # what is wrong is said before the first trial
    scores: dict[int, float] = {}
    try:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            work = {
                pool.submit(
                    trial, arguments.file, arguments.overrides, drawn, arguments.steps, arguments.seed
                ): number
                for number, drawn in enumerate(draws)
            }
            for done in track(as_completed(work), "trials", total=len(work)):
                scores[work[done]] = done.result()
    finally:  # also of a search that was interrupted
        report(draws, scores)


def report(draws: list[dict[str, str]], scores: dict[int, float]) -> None:
    """Print the trials that are done, the best first."""
    print("| return | " + " | ".join(SHORT.values()) + " |")
    print("| --- " * (len(SPACE) + 1) + "|")
    for number in sorted(scores, key=scores.__getitem__, reverse=True):
        values = [draws[number].get(name, "as the launch file") for name in SPACE]
        print(f"| {scores[number]:.4g} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
