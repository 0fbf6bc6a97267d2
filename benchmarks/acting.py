"""What acting and learning cost one agent: SB3's own forward against the numpy mirror, and gradient steps.

    python benchmarks/acting.py [--seconds 0.5]

Both sides run in turn in the same process, so the ratios hold where the times do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from agents.policies import ActorPolicy, MaskableActorPolicy
from agents.recurrent_policy import RecurrentActorPolicy

N_OBSERVATIONS = 60
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
CHOICES = spaces.Discrete(60)
CASES: dict[str, tuple[type[BasePolicy], type[BasePolicy], spaces.Space[Any]]] = {
    "Gaussian, 128x128": (ActorPolicy, ActorCriticPolicy, BOX),
    "60 choices, 128x128": (ActorPolicy, ActorCriticPolicy, CHOICES),
    "60 masked choices, 128x128": (MaskableActorPolicy, MaskableActorCriticPolicy, CHOICES),
    "Gaussian, LSTM 128 + 128x128": (RecurrentActorPolicy, RecurrentActorCriticPolicy, BOX),
}


def median_us(action: Callable[[], object], seconds: float) -> float:
    """Return the median time of a call in microseconds, over as many calls as fit."""
    times = []
    until = time.perf_counter() + seconds
    while not times or time.perf_counter() < until:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e6 * float(np.median(times))


def build(kind: type[BasePolicy], space: spaces.Space[Any]) -> BasePolicy:
    observations = spaces.Box(-1.0, 1.0, (N_OBSERVATIONS,), np.float32)
    layers = {"lstm_hidden_size": 128} if issubclass(kind, RecurrentActorCriticPolicy) else {}
    policy = kind(observations, space, lambda _: 3e-4, net_arch=[128, 128], **layers)
    policy.set_training_mode(False)
    return policy


def arguments(kind: type[BasePolicy], n: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    obs = th.from_numpy(np.random.default_rng(0).normal(size=(n, N_OBSERVATIONS)).astype(np.float32))
    if kind is RecurrentActorPolicy:
        state = (th.zeros(1, n, 128), th.zeros(1, n, 128))
        return (obs, RNNStates(state, state), th.zeros(n)), {}
    if kind is MaskableActorPolicy:
        return (obs,), {"action_masks": np.ones((n, 60), bool)}
    return (obs,), {}


def acting(seconds: float) -> None:
    print("| policy | copies | SB3 forward, µs | numpy mirror, µs | ratio |")
    print("|---|---:|---:|---:|---:|")
    for name, (ours, stock, space) in CASES.items():
        mirrored = build(ours, space)
        mirrored.generator = np.random.default_rng(0)
        for n in (1, 64):
            args, kwargs = arguments(ours, n)
            times = []
            for policy in (build(stock, space), mirrored):
                with th.no_grad():
                    times.append(median_us(lambda: policy(*args, **kwargs), seconds))  # noqa: B023
            print(f"| {name} | {n} | {times[0]:.0f} | {times[1]:.0f} | {times[0] / times[1]:.1f} |")


def learning(seconds: float) -> None:
    print("\n| policy | minibatch | gradient step, ms |")
    print("|---|---:|---:|")
    for name, (kind, _, space) in list(CASES.items())[:3]:
        policy = build(kind, space)
        for n in (256, 1024):
            (obs,), masks = arguments(kind, n)
            with th.no_grad():
                actions, _, old = policy(obs, **masks)
            advantages = th.randn(n)

            def step() -> None:
                _, log_prob, entropy = policy.evaluate_actions(obs, actions, **masks)  # noqa: B023
                ratio = th.exp(log_prob - old)  # noqa: B023
                surrogate = th.min(advantages * ratio, advantages * th.clamp(ratio, 0.8, 1.2))  # noqa: B023
                policy.optimizer.zero_grad()  # noqa: B023
                (-surrogate.mean() - 0.01 * entropy.mean()).backward()
                th.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)  # noqa: B023
                policy.optimizer.step()  # noqa: B023

            print(f"| {name} | {n} | {median_us(step, seconds) / 1000:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="time spent on each cell of the tables")
    seconds = parser.parse_args().seconds
    th.set_num_threads(1)
    acting(seconds)
    learning(seconds)


if __name__ == "__main__":
    main()
