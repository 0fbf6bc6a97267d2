"""What nominal setpoints, random ones and consensus control earn on the microgrids.

python benchmarks/microgrid_baselines.py [--episodes 128] [--seed 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import simulator
from agents.baselines import Policy, RandomPolicy
from agents.baselines_voltage import ConsensusVoltage, NominalSetpoint, SetpointRange
from simulator.frame import GridSpec

Rule = Callable[[GridSpec, str], Policy]


def consensus(spec: GridSpec, agent: str) -> Policy:
    setpoints = SetpointRange.read(spec.action_spaces[agent], spec.action_names[agent])
    return ConsensusVoltage(setpoints, spec.observation_names[agent])


def nominal(spec: GridSpec, agent: str) -> Policy:
    return NominalSetpoint(SetpointRange.read(spec.action_spaces[agent], spec.action_names[agent]))


def at_random(spec: GridSpec, agent: str) -> Policy:
    return RandomPolicy(spec.action_spaces[agent], spec.agents.index(agent))


def play(name: str, rule: Rule, n_envs: int, seed: int, actions: str) -> tuple[NDArray[np.floating], ...]:
    """Return per episode: mean return of an agent, share of voltages in the band, ticks until all were."""
    world = simulator.make(name, n_envs, seed, observation="neighbours", actions=actions)
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
    return returns, band, first


def interval(values: Sequence[float] | NDArray[np.floating]) -> str:
    """Return mean ± half the width of the 95 % interval."""
    array = np.asarray(values)
    return f"{array.mean():.3f} ± {1.96 * array.std(ddof=1) / np.sqrt(len(array)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"{args.episodes} episodes, seed {args.seed}; 21 ticks: the band was never reached by all buses\n")
    heads = f"{'return per agent':>17} {'in the band':>15} {'ticks':>14}"
    print(f"{'grid':<12} {'actions':<11} {'rule':<10} {heads}")
    rules: dict[str, Rule] = {"nominal": nominal, "random": at_random, "consensus": consensus}
    for name in ("microgrid6", "microgrid20"):
        for rule in rules:
            for actions in ("discrete", "continuous"):
                got = play(name, rules[rule], args.episodes, args.seed, actions)
                cells = [interval(values) for values in got]
                print(f"{name:<12} {actions:<11} {rule:<10} {cells[0]:>17} {cells[1]:>15} {cells[2]:>14}")


if __name__ == "__main__":
    main()
