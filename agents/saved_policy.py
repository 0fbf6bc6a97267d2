"""A saved SB3 policy that only acts: feed-forward, masked or recurrent, with the memory it learned with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv

from agents.ensemble_files import load_agent, load_file, read_card
from agents.ensemble_ppo import SharedCriticAlgorithm
from agents.memory import Memory
from agents.recipe import Recipe


def load_saved(path: Path, agent: str, env: GymEnv | None = None) -> SharedCriticAlgorithm:
    """Load one agent from a folder of saved agents, or from the zip of any saved agent.

    Raises:
        EnsembleFileError: there is no such folder or file, or it cannot be read.
    """
    if path.is_dir():
        return load_agent(path, agent, env)
    entry = read_card(path).model_copy(update={"file": path.name})
    return load_file(path.parent, entry, env)


class SavedPolicy:
    """Acts by a trained model on what an agent is shown; keeps its memory and its recurrent state.

    Args:
        model: any of the ensemble's algorithms.
        deterministic: take the most likely action; else sample.
    """

    def __init__(self, model: SharedCriticAlgorithm, *, deterministic: bool) -> None:
        self._model = model
        self._deterministic = deterministic
        self._state: Any = None
        self._memory = None if model.memory is None else _memory_of(model, model.memory)

    @classmethod
    def load(cls, path: str | Path, agent: str, *, deterministic: bool, seed: int = 0) -> SavedPolicy:
        """Load an agent as `load_saved` does; `seed` fixes what a sampling policy draws."""
        model = load_saved(Path(path), agent)
        model.set_random_seed(seed)
        return cls(model, deterministic=deterministic)

    def act(
        self, obs: NDArray[np.float32], mask: NDArray[np.bool_] | None, starts: NDArray[np.bool_]
    ) -> NDArray[np.generic]:
        """Return an action per copy; arguments as in agents.baselines.Policy."""
        extra: dict[str, Any] = {} if mask is None or not self._takes_masks else {"action_masks": mask}
        if self._memory is not None:
            obs = self._memory.see(obs, starts)
        actions: NDArray[np.generic]
        actions, self._state = self._model.predict(
            obs, state=self._state, episode_start=starts, deterministic=self._deterministic, **extra
        )
        if self._memory is not None:
            actions = self._memory.applied(actions)
            self._memory.acted(actions)
        return actions

    @property
    def _takes_masks(self) -> bool:
        return type(self._model).__name__.startswith("Maskable")


def _memory_of(model: SharedCriticAlgorithm, saved: Mapping[str, Any]) -> Memory:
    return Memory(Recipe.from_saved(saved), model.action_space)
