"""When buses leave ±0.2 Hz on frequency68, and which units work: of a rule and of a saved ensemble.

    python benchmarks/frequency68_band.py                        tuned PI-AGC
    python benchmarks/frequency68_band.py runs/latest/models     and the policies of a run

With measurements two ticks late, a contingency or a repair shows in an observation two ticks after it,
and what is done about it acts in the third: whatever happens in the first three ticks is out of every
controller's reach.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import simulator
from agents.baselines import Policy
from agents.baselines_frequency import TUNED, PiAgc
from agents.saved_policy import SavedPolicy
from simulator.frame import GridSpec
from simulator.frequency.case68 import RAMP_MW_PER_MIN

DELAY = 2  # ticks
SPANS = (  # ticks since a contingency or a repair, first and last
    (0, DELAY, "blind: 0 to 2 ticks after a change"),
    (DELAY + 1, 9, "3 to 9 ticks after"),
    (10, np.inf, "later, or nothing has changed yet"),
)
Rule = Callable[[GridSpec, str], Policy]


def agc(spec: GridSpec, agent: str) -> Policy:
    return PiAgc([agent], spec.agents, spec.observation_names[agent], spec.dt_s, TUNED)


def saved(models: Path) -> Rule:
    return lambda _, agent: SavedPolicy.load(models, agent, deterministic=True)


@dataclass
class Outcome:
    """What came of a controller."""

    outside: dict[str, tuple[int, int]]  # span -> (ticks outside ±0.2 Hz, ticks)
    violations: int = 0  # times a bus left ±0.5 Hz
    moved_mw: dict[str, float] = field(default_factory=dict)  # kind of unit -> per episode


def play(rule: Rule, episodes: int, seed: int) -> Outcome:
    """Play episodes to their end."""
    link = {"default": {"measurement": {"delay": {"fixed": float(DELAY)}}}}
    world = simulator.make("frequency68", episodes, seed, link)
    policies = {agent: rule(world.spec, agent) for agent in world.spec.agents}
    frame, starts = world.reset(), np.ones(episodes, np.bool_)
    since, before = np.full(episodes, np.inf), np.zeros(episodes)
    outcome = Outcome({name: (0, 0) for *_, name in SPANS}, 0, {str(kind): 0.0 for kind in RAMP_MW_PER_MIN})
    for _ in range(world.spec.options["episode_ticks"]):
        actions = {a: p.act(frame.observations[a], None, starts) for a, p in policies.items()}
        frame = world.step(actions)
        active = frame.info["contingencies"]
        since = np.where(active != before, 0, since + 1)
        starts, before = frame.done, active
        left = frame.info["within_0.2_hz"] < 0.5
        outcome.violations += int(frame.info["buses_outside"].sum())
        for agent, moved in frame.applied.items():
            kind = agent.partition("_")[0]
            ramp = RAMP_MW_PER_MIN[kind] * world.spec.dt_s / 60.0
            outcome.moved_mw[kind] += float(np.abs(moved).mean()) * ramp
        for first, last, name in SPANS:
            here = (since >= first) & (since <= last)
            before_it, ticks = outcome.outside[name]
            outcome.outside[name] = (before_it + int((left & here).sum()), ticks + int(here.sum()))
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", type=Path, nargs="?", help="folder of saved policies, e.g. runs/latest/models"
    )
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--seed", type=int, default=4242)
    arguments = parser.parse_args()
    rules = {"PI-AGC tuned": agc}
    if arguments.models is not None:
        rules["ensemble"] = saved(arguments.models)
    outcomes = {name: play(rule, arguments.episodes, arguments.seed) for name, rule in rules.items()}
    names = " | ".join(name for *_, name in SPANS)
    print(f"| ticks with a bus outside ±0.2 Hz | {names} | within ±0.2 Hz | ±0.5 Hz left |")
    print("| --- " * (len(SPANS) + 3) + "|")
    for name, outcome in outcomes.items():
        cells = " | ".join(f"{left} of {ticks:,}" for left, ticks in outcome.outside.values())
        left, ticks = (sum(column) for column in zip(*outcome.outside.values(), strict=True))
        print(f"| {name} | {cells} | {1 - left / ticks:.2%} | {outcome.violations} times |")
    print("\n| moved per episode, MW | " + " | ".join(map(str, RAMP_MW_PER_MIN)) + " |")
    print("| --- " * (len(RAMP_MW_PER_MIN) + 1) + "|")
    for name, outcome in outcomes.items():
        print(f"| {name} | " + " | ".join(f"{mw:,.0f}" for mw in outcome.moved_mw.values()) + " |")


if __name__ == "__main__":
    main()
