"""When buses leave ±0.2 Hz on frequency68: before anybody can know of a contingency, or later.

    python benchmarks/frequency68_band.py                        tuned PI-AGC
    python benchmarks/frequency68_band.py runs/latest/models     and the policies of a run

With measurements two ticks late, a contingency or a repair shows in an observation two ticks after it,
and what is done about it acts in the third: whatever happens in the first three ticks is out of every
controller's reach.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import simulator
from agents.baselines import Policy
from agents.baselines_frequency import TUNED, PiAgc
from agents.saved_policy import SavedPolicy
from simulator.frame import GridSpec

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


def outside(rule: Rule, episodes: int, seed: int) -> tuple[dict[str, tuple[int, int]], int]:
    """Return for each span (ticks outside ±0.2 Hz, ticks), and how often a bus left ±0.5 Hz."""
    link = {"default": {"measurement": {"delay": {"fixed": float(DELAY)}}}}
    world = simulator.make("frequency68", episodes, seed, link)
    policies = {agent: rule(world.spec, agent) for agent in world.spec.agents}
    frame, starts = world.reset(), np.ones(episodes, np.bool_)
    since, before = np.full(episodes, np.inf), np.zeros(episodes)
    counts, beyond = {name: (0, 0) for *_, name in SPANS}, 0
    for _ in range(world.spec.options["episode_ticks"]):
        actions = {a: p.act(frame.observations[a], None, starts) for a, p in policies.items()}
        frame = world.step(actions)
        active = frame.info["contingencies"]
        since = np.where(active != before, 0, since + 1)
        starts, before = frame.done, active
        left = frame.info["within_0.2_hz"] < 0.5
        beyond += int(frame.info["buses_outside"].sum())
        for first, last, name in SPANS:
            here = (since >= first) & (since <= last)
            counts[name] = (counts[name][0] + int((left & here).sum()), counts[name][1] + int(here.sum()))
    return counts, beyond


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
    names = " | ".join(name for *_, name in SPANS)
    print(f"| ticks with a bus outside ±0.2 Hz | {names} | within ±0.2 Hz | ±0.5 Hz left |")
    print("| --- " * (len(SPANS) + 3) + "|")
    for name, rule in rules.items():
        counts, beyond = outside(rule, arguments.episodes, arguments.seed)
        cells = " | ".join(f"{left} of {ticks:,}" for left, ticks in counts.values())
        share = 1 - sum(left for left, _ in counts.values()) / sum(ticks for _, ticks in counts.values())
        print(f"| {name} | {cells} | {share:.2%} | {beyond} times |")


if __name__ == "__main__":
    main()
