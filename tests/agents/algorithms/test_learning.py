"""The three algorithms learn trivial worlds, with a critic that knows nothing but a running mean."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from agents import EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO

from .worlds import BOX, DISCRETE, ConstantCritic, TinyWorld


class RunningMean(ConstantCritic):
    """V = the mean return seen so far, GAE on top."""

    def advantages(self, rewards: np.ndarray, *args: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        answer = super().advantages(rewards, *args)
        self.value = np.float32(0.8 * self.value + 0.2 * answer[2].mean())
        return answer


class Memory(TinyWorld):
    """The sign to guess is shown at the first step of an episode only, and asked for three steps later."""

    def reset(self) -> np.ndarray:
        self.t = 0
        return self._cue()

    def _cue(self) -> np.ndarray:
        self.cue = self.rng.choice([0, 1], self.num_envs)
        return self._shown(visible=True)

    def _shown(self, visible: bool) -> np.ndarray:
        obs = np.zeros((self.num_envs, 3), np.float32)
        obs[:, 0] = (2 * self.cue - 1) * visible
        obs[:, 1] = self.t / 3
        return obs

    def step_wait(self) -> Any:
        done = self.t == 3
        rewards = ((self.actions == self.cue) * done).astype(np.float32)
        self.t = 0 if done else self.t + 1
        obs = self._cue() if done else self._shown(visible=False)
        infos = [{"terminal_observation": obs[i]} if done else {} for i in range(self.num_envs)]
        return obs, rewards, np.full(self.num_envs, done), infos


def last_rewards(source: ConstantCritic, rollouts: int) -> float:
    return float(np.mean([rewards.mean() for rewards, _ in source.asked[-rollouts:]]))


@pytest.mark.parametrize(
    ("algorithm", "space", "forced", "goal"),
    [
        (EnsemblePPO, BOX, 0.0, -0.3),  # untrained: -1.1
        (EnsemblePPO, DISCRETE, 0.0, -0.1),  # untrained: -1
        (MaskableEnsemblePPO, DISCRETE, 0.5, -0.55),  # the best possible: -0.5
    ],
)
def test_it_learns_a_trivial_world(
    algorithm: type[EnsemblePPO], space: spaces.Space, forced: float, goal: float, critic: Callable[..., str]
) -> None:
    source = RunningMean()
    model = algorithm(
        "MlpPolicy",
        TinyWorld(space, n_envs=8, forced=forced),
        1e-3,
        critic=critic(source),
        n_steps=32,
        batch_size=128,
        n_epochs=5,
        gamma=0.0,
        seed=0,
        policy_kwargs={"net_arch": [32]},
    )
    model.learn(40 * 256)
    assert last_rewards(source, 1) > goal
    assert source.asked[0][0].mean() < goal - 0.15


def test_an_lstm_remembers_what_it_saw(critic: Callable[..., str]) -> None:
    source = RunningMean()
    model = RecurrentEnsemblePPO(
        "MlpLstmPolicy",
        Memory(spaces.Discrete(2), n_envs=16),
        3e-3,
        critic=critic(source),
        n_steps=16,
        batch_size=256,
        n_epochs=5,
        gamma=0.9,
        ent_coef=0.0,
        seed=0,
        policy_kwargs={"net_arch": [16], "lstm_hidden_size": 16},
    )
    model.learn(60 * 256)
    assert 4 * last_rewards(source, 5) > 0.9  # one reward in four steps; without memory 0.5


def test_importing_agents_does_not_import_torch() -> None:
    code = "import sys, agents.sources, agents.actor; assert 'torch' not in sys.modules; agents.EnsemblePPO"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
