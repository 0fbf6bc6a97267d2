"""What the critic costs: valuing a rollout, answering one agent, training, and keeping the checkpoint."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from agents.critic import checkpoint
from agents.critic.centralized import CentralizedCritic
from agents.critic.digest import rollout_digest
from agents.critic.settings import CriticSettings, RewardSharing
from broker.messages import AdvantageRequest, GridDescription, GridState


def description(n_agents: int, n_envs: int, state_dim: int) -> GridDescription:
    names = tuple(f"agent_{i}" for i in range(n_agents))
    ring = {a: [names[i - 1], names[(i + 1) % n_agents]] for i, a in enumerate(names)}
    return GridDescription(
        name="benchmark",
        epoch=1,
        n_envs=n_envs,
        dt_s=1.0,
        agents=names,
        spaces="{}",
        features="{}",
        neighbours=json.dumps(ring),
        state_dim=state_dim,
        in_flight_dim=0,
        masked=False,
        reasons=(),
        partition="",
        config="{}",
        config_sha256="",
    )


def grid_state(rng: np.random.Generator, tick: int, grid: GridDescription) -> GridState:
    state = rng.standard_normal((grid.n_envs, grid.state_dim), dtype=np.float32)
    truncated = np.full(grid.n_envs, tick > 0 and tick % 50 == 0)
    return GridState(
        epoch=1,
        tick=tick,
        state=state,
        in_flight=np.zeros((grid.n_envs, 0), np.float32),
        rewards=rng.standard_normal((grid.n_envs, len(grid.agents)), dtype=np.float32),
        terminated=np.zeros(grid.n_envs, bool),
        truncated=truncated,
        metrics=np.zeros((grid.n_envs, 0), np.float32),
        final_state=state if truncated.any() else None,
    )


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Return milliseconds."""
    start = time.perf_counter()
    work(*arguments)
    return 1e3 * (time.perf_counter() - start)


def measure(n_envs: int, reward: RewardSharing, options: argparse.Namespace) -> dict[str, float]:
    grid = description(options.agents, n_envs, options.state_dim)
    critic = CentralizedCritic(grid, CriticSettings(reward=reward))
    rng, steps = np.random.default_rng(0), options.steps
    times: dict[str, list[float]] = {
        "first answer": [],
        "further answer": [],
        "training": [],
        "checkpoint": [],
    }
    for round_ in range(options.rounds):
        first = round_ * steps
        states = [grid_state(rng, t, grid) for t in range(first + (round_ > 0), first + steps + 1)]
        for state in states:
            critic.observe(state)
        dones = np.stack([s.truncated for s in states[-steps:]])
        for index, agent in enumerate(grid.agents):
            digest = rollout_digest(np.stack([s.rewards[:, index] for s in states[-steps:]]), dones)
            request = AdvantageRequest(agent, 1, first, steps, 0.99, 0.95, digest)
            kind = "further answer" if index else "first answer"
            times[kind].append(timed(critic.answer, request))
        times["training"].append(timed(critic.train))
        with tempfile.TemporaryDirectory() as folder:
            times["checkpoint"].append(
                timed(checkpoint.save, Path(folder) / "critic.pt", critic.state_dict())
            )
    return {kind: statistics.median(values) for kind, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=128, help="ticks of a rollout")
    parser.add_argument("--envs", type=int, nargs="+", default=[8, 64], help="numbers of copies to try")
    parser.add_argument("--state-dim", type=int, default=140)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="the median over so many is shown")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{options.steps} steps, state {options.state_dim}, {options.agents} agents, one thread; median ms\n"
    )
    kinds = ("first answer", "further answer", "training", "checkpoint")
    print(f"{'copies':>6}  {'reward':8}" + "".join(f"{kind:>16}" for kind in kinds))
    for n_envs in options.envs:
        for reward in (RewardSharing.SHARED, RewardSharing.LOCAL):
            result = measure(n_envs, reward, options)
            print(f"{n_envs:6}  {reward:8}" + "".join(f"{result[kind]:16.1f}" for kind in kinds))


if __name__ == "__main__":
    main()
