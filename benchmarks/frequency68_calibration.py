"""Baselines on the 68-bus frequency grid, and the search for the gains of PI-AGC.

    python benchmarks/frequency68_calibration.py                 the table, 100 episodes each
    python benchmarks/frequency68_calibration.py --search        gains over a grid, on other episodes
    python benchmarks/frequency68_calibration.py --search forecast       with forecasts fed forward
    python benchmarks/frequency68_calibration.py --search --delay 0      behind another link

All controllers meet the same episodes under a SCADA link, usually with measurements two ticks old. The search
goes by the interquartile mean of the return, as the tables of docs/results.md do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import simulator
from agents.baselines_frequency import FORECAST, TUNED, USUAL, Gains, PiAgc
from agents.statistics import interquartile_mean

Rows = NDArray[np.float64]
Controller = Callable[[simulator.Frame], dict[str, NDArray[np.float32]]]
Maker = Callable[[simulator.GridSpec], Controller]

SEARCH_KP = (0.0, 25.0, 50.0, 100.0, 200.0)
SEARCH_KI = (10.0, 20.0, 30.0, 40.0, 60.0)
SEARCH_FEEDFORWARD = (0.9, 0.95, 1.0)
TEST_SEED, SEARCH_SEED = 1000, 2000


@dataclass(frozen=True)
class Outcome:
    """One row per episode."""

    returns: Rows
    control: Rows  # control and wear cost
    good: Rows  # share of the episode with all buses within 0.2 Hz
    worst_hz: Rows
    outside: Rows  # buses beyond 0.5 Hz, summed over ticks
    terminated: NDArray[np.bool_]


def hold(spec: simulator.GridSpec) -> Controller:
    still = {a: np.zeros((spec.n_envs, 1), np.float32) for a in spec.agents}
    return lambda _: still


def uniformly_random(spec: simulator.GridSpec) -> Controller:
    rng = np.random.default_rng(0)
    return lambda _: {a: rng.uniform(-1, 1, (spec.n_envs, 1)).astype(np.float32) for a in spec.agents}


def pi_agc(gains: Gains) -> Maker:
    def make(spec: simulator.GridSpec) -> Controller:
        units = {a: PiAgc([a], spec.agents, spec.observation_names[a], spec.dt_s, gains) for a in spec.agents}
        return lambda frame: {a: unit.act(frame.observations[a]) for a, unit in units.items()}

    return make


def play(maker: Maker, n_episodes: int, seed: int, options: dict[str, object]) -> Outcome:
    """Play the first episode of every copy."""
    world = simulator.make("frequency68", n_envs=n_episodes, seed=seed, **options)
    frame, act = world.reset(), maker(world.spec)
    running = np.ones(n_episodes, np.bool_)
    returns, control, good, worst, outside, ticks = np.zeros((6, n_episodes))
    terminated = np.zeros(n_episodes, np.bool_)
    while running.any():
        frame = world.step(act(frame))
        info = frame.info
        returns += running * frame.rewards[:, 0]
        control -= running * (info["reward_control"] + info["reward_wear"])
        good += running * info["within_0.2_hz"]
        worst = np.where(running, np.maximum(worst, info["worst_df_hz"]), worst)
        outside += running * info["buses_outside"]
        ticks += running
        terminated |= running & frame.terminated
        running &= ~frame.done
    return Outcome(returns, control, good / ticks, worst, outside, terminated)


def interval(values: Rows, n_draws: int = 2000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over episodes."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (n_draws, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def table(n_episodes: int, options: dict[str, object]) -> None:
    agc = {"usual": USUAL, "tuned": TUNED, "of the design": Gains(50.0, 40.0)}
    agc["of the design, without gas"] = Gains(50.0, 40.0, "fast")
    agc["tuned, forecasts fed forward, without gas"] = FORECAST
    makers: dict[str, Maker] = {"hold": hold, "uniformly random": uniformly_random}
    makers |= {f"PI-AGC {name} ({gains.kp:g}, {gains.ki:g})": pi_agc(gains) for name, gains in agc.items()}
    print(f"{n_episodes} episodes each, seed {TEST_SEED}, options {options or 'as by default'}")
    print("| controller | mean return [95 %] | median | control cost | in ±0.2 Hz | worst Hz | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, maker in makers.items():
        out = play(maker, n_episodes, TEST_SEED, options)
        low, high = interval(out.returns)
        print(
            f"| {name} | {out.returns.mean():.2e} [{low:.2e}, {high:.2e}] | {np.median(out.returns):.2e} "
            f"| {out.control.mean():.1e} | {100 * out.good.mean():.1f} % | {out.worst_hz.max():.2f} "
            f"| {out.terminated.sum()} |",
            flush=True,
        )


def search(n_episodes: int, options: dict[str, object], feedforward: tuple[float, ...]) -> None:
    """Print the return for every pair of gains, all units and fast units; best last."""
    print(f"interquartile mean return of {n_episodes} episodes each, seed {SEARCH_SEED}, options {options}")
    print("| fed forward | participants | kp MW/Hz | " + " | ".join(f"ki {ki:g}" for ki in SEARCH_KI) + " |")
    print("| --- | --- | --- |" + " --- |" * len(SEARCH_KI))
    found: list[tuple[float, Gains]] = []
    everyone: tuple[Literal["all", "fast"], ...] = ("all", "fast")
    for share, participants, kp in product(feedforward, everyone, SEARCH_KP):
        row = [
            (interquartile_mean(play(pi_agc(gains), n_episodes, SEARCH_SEED, options).returns), gains)
            for gains in (Gains(kp, ki, participants, share) for ki in SEARCH_KI)
        ]
        found += row
        numbers = " | ".join(f"{score:.2e}" for score, _ in row)
        print(f"| {share:g} | {participants} | {kp:g} | {numbers} |", flush=True)
    print("best:", max(found, key=lambda pair: pair[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100, help="per controller (default 100)")
    parser.add_argument(
        "--search", nargs="?", const="gains", choices=["gains", "forecast"], help="search the gains instead"
    )
    parser.add_argument("--delay", type=float, default=2.0, help="of measurements, ticks (default 2)")
    parser.add_argument("--flow", default="linear", choices=["linear", "sine"])
    arguments = parser.parse_args()
    options: dict[str, object] = {} if arguments.flow == "linear" else {"flow": arguments.flow}
    options["scada"] = {"default": {"measurement": {"delay": {"fixed": arguments.delay}}}}
    if arguments.search:
        search(arguments.episodes, options, SEARCH_FEEDFORWARD if arguments.search == "forecast" else (0.0,))
    else:
        table(arguments.episodes, options)


if __name__ == "__main__":
    main()
