"""What nominal setpoints, random ones, integral and consensus control earn on the microgrids.

python benchmarks/microgrid_baselines.py [--episodes 128] [--seed 1] [--pictures docs/pictures]
python benchmarks/microgrid_baselines.py --late     gains of integral control behind microgrid6_late's link
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simulator
from agents.baselines import Policy, RandomPolicy
from agents.baselines_voltage import ConsensusVoltage, NominalSetpoint, SetpointRange
from launch.imports import ROOT
from launch.study.study import read_study
from simulator.frame import GridSpec
from simulator.microgrid.grid import MicrogridGrid

STUDY = ROOT / "benchmarks" / "studies" / "microgrid6_late.yaml"
GAINS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3)
Rule = Callable[[GridSpec, str], Policy]


def consensus(spec: GridSpec, agent: str) -> Policy:
    setpoints = SetpointRange.read(spec.action_spaces[agent], spec.action_names[agent])
    return ConsensusVoltage(setpoints, spec.observation_names[agent])


def integral(spec: GridSpec, agent: str, gain: float = 1.3) -> Policy:
    setpoints = SetpointRange.read(spec.action_spaces[agent], spec.action_names[agent])
    return ConsensusVoltage(setpoints, spec.observation_names[agent], gain, coupling=0.0)


def nominal(spec: GridSpec, agent: str) -> Policy:
    return NominalSetpoint(SetpointRange.read(spec.action_spaces[agent], spec.action_names[agent]))


def at_random(spec: GridSpec, agent: str) -> Policy:
    return RandomPolicy(spec.action_spaces[agent], spec.agents.index(agent))


@dataclass(frozen=True)
class Outcome:
    """What became of one episode per copy."""

    returns: NDArray[np.floating]  # (E,) mean over the agents
    band: NDArray[np.floating]  # (E,) share of bus voltages in the band
    first: NDArray[np.floating]  # (E,) first tick with all buses in the band, 21 if there was none
    picture: bytes  # PNG of copy 0


def play(
    name: str, rule: Rule, n_envs: int, seed: int, actions: str, scada: Mapping[str, Any] | None = None
) -> Outcome:
    """Play one episode in every copy."""
    world = simulator.make(name, n_envs, seed, scada, observation="neighbours", actions=actions)
    spec = world.spec
    policies = {agent: rule(spec, agent) for agent in spec.agents}
    frame = world.reset()
    starts = np.ones(n_envs, np.bool_)
    returns, band, first = np.zeros(n_envs), np.zeros(n_envs), np.full(n_envs, 21.0)
    for tick in range(1, 21):
        frame = world.step({a: policies[a].act(frame.observations[a], None, starts) for a in spec.agents})
        starts = frame.done
        returns += frame.rewards.mean(axis=1)
        band += frame.info["buses_in_band"] / 20
        first = np.where((frame.info["buses_in_band"] == 1.0) & (first > 20), tick, first)
    grid = world.grid
    assert isinstance(grid, MicrogridGrid)
    return Outcome(returns, band, first, grid.render())


def interval(values: NDArray[np.floating]) -> str:
    """Return mean ± half the width of the 95 % interval."""
    return f"{values.mean():.3f} ± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def compare_gains(episodes: int, seed: int) -> None:
    """Print what integral control earns by its gain, on time and behind the link of the study."""
    study = read_study(STUDY)
    link = {"default": {"measurement": study.overrides["simulator.scada.default.measurement"]}}
    print(
        f"microgrid6, continuous, {episodes} episodes, seed {seed}: return per agent, voltages in the band\n"
    )
    print(f"{'gain c':>6} {'on time':>32} {'microgrid6_late':>32}")
    for gain in GAINS:
        cells = []
        for scada in (None, link):
            got = play("microgrid6", partial(integral, gain=gain), episodes, seed, "continuous", scada)
            cells.append(f"{interval(got.returns)}, {interval(got.band)}")
        print(f"{gain:>6} {cells[0]:>32} {cells[1]:>32}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of an episode of each rule")
    parser.add_argument("--late", action="store_true", help="compare gains behind a late and lossy link")
    args = parser.parse_args()
    if args.late:
        compare_gains(args.episodes, args.seed)
        return
    print(f"{args.episodes} episodes, seed {args.seed}; 21 ticks: the band was never reached by all buses\n")
    heads = f"{'return per agent':>17} {'in the band':>15} {'ticks':>14}"
    print(f"{'grid':<12} {'actions':<11} {'rule':<10} {heads}")
    rules: dict[str, Rule] = {
        "nominal": nominal,
        "random": at_random,
        "integral": integral,
        "consensus": consensus,
    }
    for name in ("microgrid6", "microgrid20"):
        for rule in rules:
            for actions in ("discrete", "continuous"):
                got = play(name, rules[rule], args.episodes, args.seed, actions)
                cells = [interval(values) for values in (got.returns, got.band, got.first)]
                print(f"{name:<12} {actions:<11} {rule:<10} {cells[0]:>17} {cells[1]:>15} {cells[2]:>14}")
                if args.pictures and actions == "discrete":
                    (args.pictures / f"{name}_{rule}.png").write_bytes(got.picture)


if __name__ == "__main__":
    main()
