"""MAPPO in one process, in plain torch: a launch file's grid and settings, without a bus.

One actor shared by all agents (each is told its kind), or one each; one critic on the global state. The grid,
its SCADA link, the memory, the hyperparameters and the advantages are those of the launch file, but that
actors see observations as they are: `normalize_observations` is not read. What else the ensemble can and this
cannot is refused: choices, other algorithms and critics, agents that differ or follow rules, rewards that are
not shared, entropy bonus, target_kl, a schedule of clip_range.

C. Yu et al., The surprising effectiveness of PPO in cooperative multi-agent games (2022), arXiv:2103.01955.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium.spaces import Box
from torch import nn

import simulator
from agents.critic.gae import beside_siblings, bootstrap_values, gae
from agents.critic.settings import CriticSettings
from agents.critic.trainer import ValueTrainer
from agents.memory import Memory
from agents.recipe import MemorySettings, Recipe
from launch.arguments import parse_overrides
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.spec import LaunchSpec

HELD_OUT = 1000  # seed of the evaluation's scenarios


def read_spec(file: Path, overrides: list[str]) -> LaunchSpec:
    """Return a launch file with values laid over it. Raises SystemExit where this trainer cannot do it."""
    spec = checked(read_launch_file(file, parse_overrides(overrides)).root)
    agents, chosen = spec.agents, spec.agents.hyperparameters
    network = chosen.policy_kwargs or {}
    faults = {
        f"agents.algorithm={agents.algorithm}": agents.algorithm != "ppo",
        f"agents.policy={agents.policy}": bool(agents.policy),
        f"agents.baseline={agents.baseline}": agents.baseline is not None,
        f"agents.initial_weights={agents.initial_weights}": agents.initial_weights != "own",
        "agents.overrides": bool(agents.overrides),
        f"critic.mode={spec.critic.mode}": spec.critic.mode != "centralized",
        f"policy_kwargs {network}": not network.keys()
        <= {"net_arch", "log_std_init", "normalize_observations"},
        f"net_arch={network.get('net_arch')}": not isinstance(network.get("net_arch", []), list),
        f"critic.reward={spec.critic.reward}": spec.critic.reward != "shared",
        f"agents.corrects={spec.agents.corrects}": spec.agents.corrects is not None,
        f"ent_coef={chosen.ent_coef}": bool(chosen.ent_coef),
        f"target_kl={chosen.target_kl}": chosen.target_kl is not None,
        "schedule of clip_range": not isinstance(chosen.clip_range, int | float | None),
    }
    refused = ", ".join(text for text, wrong in faults.items() if wrong)
    if refused:
        sys.exit(f"{file}: the one-process trainer has no {refused}; lay other values over it, key=value")
    return spec


class Table:
    """All agents of E copies as one batch: (n, E, ...), with memories and kinds."""

    def __init__(self, spec: LaunchSpec, n_envs: int, seed: int, per_scenario: int) -> None:
        wanted = spec.simulator
        link = wanted.scada.settings() if wanted.scada else None
        self.world = simulator.make(
            wanted.grid, n_envs, seed, link, wanted.smoothing, per_scenario, **wanted.options
        )
        grid = self.world.spec
        self.agents, self.n_envs = grid.agents, n_envs
        remembered = MemorySettings.from_mapping(spec.agents.memory.model_dump(exclude_none=True))
        recipes = [Recipe.of(remembered, grid.observation_names[a], grid.dt_s) for a in self.agents]
        spaces = [grid.action_spaces[a] for a in self.agents]
        self.memories = [Memory(r, s) for r, s in zip(recipes, spaces, strict=True)]
        kinds = sorted({agent.rstrip("0123456789") for agent in self.agents})
        self._kind = np.eye(len(kinds), dtype=np.float32)[
            [kinds.index(agent.rstrip("0123456789")) for agent in self.agents]
        ]
        if not isinstance(spaces[0], Box):
            sys.exit(f"{wanted.grid}: the one-process trainer has no actions in {spaces[0]}, only quantities")
        self.n_actions = spaces[0].shape[0]

    def reset(self) -> np.ndarray:
        """Start over; return (n, E, d)."""
        self.frame = self.world.reset()
        return self._seen(np.ones(self.n_envs, np.bool_))

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Act (n, E, k); return (n, E, d)."""
        clipped = np.clip(actions, -1.0, 1.0)
        for memory, rows in zip(self.memories, clipped, strict=True):
            memory.acted(rows)
        self.frame = self.world.step(dict(zip(self.agents, clipped, strict=True)))
        return self._seen(self.frame.done)

    def state(self) -> np.ndarray:
        """Return (E, s): what the critic sees, with what the link still holds."""
        return np.concatenate([self.frame.state, self.frame.in_flight], axis=1)

    def final_state(self) -> np.ndarray:
        """Return (E, s) of the copies that have just ended."""
        return np.concatenate([self.frame.final_state, self.frame.final_in_flight], axis=1)

    def _seen(self, starts: np.ndarray) -> np.ndarray:
        shown = [
            m.see(self.frame.observations[a], starts) for m, a in zip(self.memories, self.agents, strict=True)
        ]
        kinds = np.repeat(self._kind[:, None], self.n_envs, axis=1)
        return np.concatenate([np.stack(shown), kinds], axis=-1)


class Actors(nn.Module):
    """Gaussian policies of n agents as one batch: one shared by all (g = 1), or one for each (g = n)."""

    def __init__(self, g: int, n_inputs: int, n_actions: int, hidden: list[int], log_std: float) -> None:
        super().__init__()
        sizes = [n_inputs, *hidden, n_actions]
        gains = [2**0.5] * len(hidden) + [0.01]
        weights = [_orthogonal(g, *pair, gain) for pair, gain in zip(pairwise(sizes), gains, strict=True)]
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(th.zeros(g, 1, size) for size in sizes[1:])
        self.log_std = nn.Parameter(th.full((g, 1, n_actions), log_std))

    def mean(self, seen: th.Tensor) -> th.Tensor:
        """Return (n, N, k) for (n, N, d)."""
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            seen = th.tanh(seen @ weight + bias)
        return seen @ last[0] + last[1]

    def log_prob(self, seen: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """Return (n, N) log-probabilities."""
        return th.distributions.Normal(self.mean(seen), self.log_std.exp()).log_prob(actions).sum(-1)

    def clip_gradients(self, longest: float) -> None:
        """Shorten the gradient of each policy by itself, as separate learners do."""
        gradients = [parameter.grad for parameter in self.parameters()]
        norm = sum((grad**2).flatten(1).sum(1) for grad in gradients).sqrt()
        shorter = (longest / (norm + 1e-6)).clamp(max=1.0)
        for grad in gradients:
            grad *= shorter.view(-1, 1, 1)


def _orthogonal(g: int, n_in: int, n_out: int, gain: float) -> nn.Parameter:
    each = [nn.init.orthogonal_(th.empty(n_out, n_in), gain).T for _ in range(g)]
    return nn.Parameter(th.stack(each).contiguous())


class Mappo:
    """The training loop."""

    def __init__(self, spec: LaunchSpec, seed: int, *, independent: bool) -> None:
        th.manual_seed(seed)
        self.independent = independent
        self.spec, self.rng = spec, np.random.default_rng(seed)
        self.chosen = spec.agents.hyperparameters.model_dump(exclude_none=True)
        self.per_scenario = spec.simulator.copies_per_scenario
        self.table = Table(spec, spec.simulator.n_envs, seed + 1, self.per_scenario)
        self.seen = self.table.reset()
        kwargs: dict[str, Any] = self.chosen.get("policy_kwargs", {})
        hidden, log_std = kwargs.get("net_arch", [128, 128]), kwargs.get("log_std_init", 0.0)
        self.n, _, n_inputs = self.seen.shape
        self.actors = Actors(self.n if independent else 1, n_inputs, self.table.n_actions, hidden, log_std)
        self.optimizer = th.optim.Adam(self.actors.parameters(), eps=1e-5)
        critic = spec.critic.model_dump(exclude={"mode", "external", "restart"})
        self.critic = ValueTrainer(
            self.table.state().shape[1], 1, CriticSettings.from_mapping({**critic, "seed": seed})
        )

    def update(self, remaining: float) -> None:
        """Collect a rollout and learn from it."""
        rollout = self._collect(self.spec.agents.n_steps)
        rate = self.chosen.get("learning_rate", 3e-4)
        if isinstance(rate, dict):
            rate = rate["end"] + remaining * (rate["start"] - rate["end"])
        self.optimizer.param_groups[0]["lr"] = rate
        self._learn(rollout)

    def _collect(self, n_steps: int) -> dict[str, np.ndarray]:
        rows: dict[str, list[np.ndarray]] = {}
        nothing = np.zeros_like(self.table.state())
        states = [self.table.state()]
        for _ in range(n_steps):
            with th.no_grad():
                mean, std = (
                    self.actors.mean(th.from_numpy(self.seen)).numpy(),
                    self.actors.log_std.exp().numpy(),
                )
            noise = self.rng.standard_normal(mean.shape).astype(np.float32)
            actions = mean + std * noise
            log_prob = (-0.5 * noise**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(-1)
            row = {"seen": self.seen, "actions": actions, "log_prob": log_prob}
            self.seen = self.table.step(actions)
            frame = self.table.frame
            row |= {
                "reward": frame.rewards.mean(axis=1),
                "terminated": frame.terminated,
                "truncated": frame.truncated,
            }
            row["final"] = self.table.final_state() if frame.done.any() else nothing
            states.append(self.table.state())
            for name, values in row.items():
                rows.setdefault(name, []).append(values)
        stacked = {name: np.stack(values) for name, values in rows.items()}
        return {**stacked, "states": np.stack(states)}

    def _learn(self, rollout: dict[str, np.ndarray]) -> None:
        gamma, lam = self.chosen.get("gamma", 0.99), self.chosen.get("gae_lambda", 0.95)
        values = self.critic.values(rollout["states"])[..., 0]
        final = self.critic.values(rollout["final"])[..., 0]
        truncated = rollout["truncated"]
        advantages = gae(
            rollout["reward"], values[:-1], bootstrap_values(values, final, truncated),
            rollout["terminated"], truncated, gamma, lam,
        )  # fmt: skip
        self.critic.update(rollout["states"][:-1], (advantages + values[:-1])[..., None])
        advantages = beside_siblings(advantages, self.per_scenario)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        seen, actions, old = (
            th.from_numpy(np.moveaxis(rollout[name], 0, 1).reshape(self.n, advantages.size, -1))
            for name in ("seen", "actions", "log_prob")
        )
        old, merit = old[..., 0], th.from_numpy(advantages.ravel())
        clip, size = self.chosen.get("clip_range", 0.2), self.chosen.get("batch_size", 64)
        for _ in range(self.chosen.get("n_epochs", 10)):
            for rows in th.randperm(len(merit)).split(size):
                ratio = (self.actors.log_prob(seen[:, rows], actions[:, rows]) - old[:, rows]).exp()
                clipped = ratio.clamp(1 - clip, 1 + clip)
                gain = th.min(ratio * merit[rows], clipped * merit[rows]).mean(1)
                self.optimizer.zero_grad()
                (-gain.sum() if self.independent else -gain.mean()).backward()
                self.actors.clip_gradients(self.chosen.get("max_grad_norm", 0.5))
                self.optimizer.step()

    def evaluate(self, episodes: int) -> np.ndarray:
        """Return (episodes,) returns of the most likely actions on held-out scenarios."""
        table = Table(self.spec, episodes, HELD_OUT, 1)
        seen, total, going = table.reset(), np.zeros(episodes), np.ones(episodes, np.bool_)
        while going.any():
            with th.no_grad():
                seen = table.step(self.actors.mean(th.from_numpy(seen)).numpy())
            total += going * table.frame.rewards.mean(axis=1)
            going &= ~table.frame.done
        return total
