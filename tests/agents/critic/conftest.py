"""A small random world, as the critic sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from agents.critic.digest import rollout_digest
from broker.messages import AdvantageRequest, GridDescription, GridState

torch.set_num_threads(1)

STATE_DIM, IN_FLIGHT_DIM = 4, 2


@dataclass
class RandomWorld:
    """Ticks of E copies that end now and then, in both ways and sometimes in both at once."""

    agents: tuple[str, ...] = ("north", "east", "south")
    n_envs: int = 3
    epoch: int = 1
    n_ticks: int = 65
    seed: int = 0
    copies_per_scenario: int = 1
    states: list[GridState] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.states = [self._state(rng, tick) for tick in range(self.n_ticks)]

    def _state(self, rng: np.random.Generator, tick: int) -> GridState:
        def draw(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, dtype=np.float32)

        ends = rng.random((2, self.n_envs)) < (0.15 if tick else 0.0)
        return GridState(
            epoch=self.epoch,
            tick=tick,
            state=100.0 + 10.0 * draw(self.n_envs, STATE_DIM),
            in_flight=draw(self.n_envs, IN_FLIGHT_DIM),
            rewards=-5.0 + draw(self.n_envs, len(self.agents)),
            terminated=ends[0],
            truncated=ends[1],
            metrics=np.zeros((self.n_envs, 0), np.float32),
            final_state=100.0 + 10.0 * draw(self.n_envs, STATE_DIM + IN_FLIGHT_DIM) if ends.any() else None,
        )

    def description(self) -> GridDescription:
        chain = {a: list(self.agents[max(0, i - 1) : i + 2]) for i, a in enumerate(self.agents)}
        return GridDescription(
            name="random",
            epoch=self.epoch,
            n_envs=self.n_envs,
            dt_s=1.0,
            agents=self.agents,
            spaces="{}",
            features="{}",
            neighbours=json.dumps(chain),
            state_dim=STATE_DIM,
            in_flight_dim=IN_FLIGHT_DIM,
            masked=False,
            reasons=(),
            partition="",
            config=json.dumps({"copies_per_scenario": self.copies_per_scenario}),
            config_sha256="",
        )

    def raw(self, agent: str, first: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and dones (T, E) as the agent saw them."""
        steps = self.states[first + 1 : first + n_steps + 1]
        rewards = np.stack([s.rewards[:, self.agents.index(agent)] for s in steps])
        return rewards, np.stack([s.terminated | s.truncated for s in steps])

    def request(
        self, agent: str, first: int, n_steps: int, gamma: float = 0.95, lam: float = 0.9
    ) -> AdvantageRequest:
        digest = rollout_digest(*self.raw(agent, first, n_steps))
        return AdvantageRequest(agent, self.epoch, first, n_steps, gamma, lam, digest)


@pytest.fixture
def world() -> RandomWorld:
    return RandomWorld()


@pytest.fixture
def make_world() -> type[RandomWorld]:
    return RandomWorld
