"""One agent that learns on the bus: build the SB3 algorithm, learn, keep checkpoints, survive new epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor

from agents.advantages import OwnCritic, critic_of
from agents.ensemble_files import load_file, newest_agent_file, save_agent
from agents.ensemble_ppo import (
    EnsemblePPO,
    MaskableEnsemblePPO,
    RecurrentEnsemblePPO,
    SharedCriticAlgorithm,
)
from agents.env import BusVecEnv
from agents.errors import EpochChangedError, SimulatorGoneError
from agents.saved_policy import SavedPolicy, load_saved
from agents.seat import Seat
from agents.settings import AgentSettings

ALGORITHMS = {
    "ppo": (EnsemblePPO, "MlpPolicy"),
    "maskable_ppo": (MaskableEnsemblePPO, "MlpPolicy"),
    "recurrent_ppo": (RecurrentEnsemblePPO, "MlpLstmPolicy"),
}


class Learner:
    """An SB3 algorithm at one seat of the table.

    Args:
        seat: the agent's place on the bus.
        settings: algorithm, hyperparameters, length of training.
    """

    def __init__(self, seat: Seat, settings: AgentSettings) -> None:
        th.set_num_threads(1)  # agents share the cores, and sums must not depend on how many there are
        self._seat = seat
        self._settings = settings
        self._run_dir = None if settings.run_dir is None else Path(settings.run_dir)
        self._models = None if self._run_dir is None else self._run_dir / "models"
        critic = critic_of(seat, settings)
        see = critic.see if isinstance(critic, OwnCritic) else None
        self._started = False
        self._env = BusVecEnv(seat, critic, see, rollout_length=settings.n_steps)
        self._model = self._restored() or self._fresh()
        self._env.stand_in = SavedPolicy(self._model, deterministic=False)
        if self._run_dir is not None:
            folder = self._run_dir / "tb" / seat.agent
            self._model.set_logger(configure(str(folder), ["csv", "tensorboard"]))

    @property
    def updates_done(self) -> int:
        """Return the number of rollouts learned from."""
        return self._model.num_timesteps // self._rollout_size

    def run(self) -> None:
        """Learn until all updates are done; a new epoch drops the rollout in progress."""
        total = self._settings.updates * self._rollout_size
        callback = _AfterUpdates(self)
        while self._model.num_timesteps < total:
            try:
                self._model.learn(total - self._model.num_timesteps, callback, reset_num_timesteps=False)
            except EpochChangedError as change:
                self._seat.node.log("warning", f"{change}; the rollout in progress is dropped")
                self._model.num_timesteps = self.updates_done * self._rollout_size
                self._model.drop_rollout()
            except SimulatorGoneError:
                self.save()
                raise
        self._env.watch.lap("learning")
        self.save()
        self._env.close()
        self._write_timing()

    def rollout_starts(self) -> None:
        """Book the time spent learning, report progress, and keep a checkpoint every few updates."""
        self._env.watch.lap("learning" if self._started else "starting")
        self._started = True
        self.report()
        if self.updates_done and self.updates_done % self._settings.checkpoint_every == 0:
            self.save()

    def rollout_ends(self) -> None:
        """Book the time spent acting; what follows is learning."""
        self._env.watch.lap("acting")

    def save(self) -> None:
        """Write the agent's zip into the run's models folder."""
        if self._models is not None:
            save_agent(self._models, self._seat.agent, self._model)

    def report(self) -> None:
        """Tell the bus how far this agent is, and how well it does."""
        episodes = self._model.ep_info_buffer or ()
        rewards = [episode["r"] for episode in episodes]
        note: dict[str, Any] = {"updates": self.updates_done, "of": self._settings.updates}
        if rewards:
            note["reward"] = float(np.mean(rewards))
        self._seat.policy_version = self.updates_done
        self._seat.node.set_status("running", tick=self._seat.tick, note=json.dumps(note))

    @property
    def _rollout_size(self) -> int:
        return self._settings.n_steps * self._seat.view.n_envs

    def _fresh(self) -> SharedCriticAlgorithm:
        algorithm, policy = ALGORITHMS[self._settings.algorithm]
        return algorithm(
            self._settings.policy or policy,
            VecMonitor(self._env),
            n_steps=self._settings.n_steps,
            seed=self._settings.seed,
            **self._settings.hyperparameters,
        )

    def _restored(self) -> SharedCriticAlgorithm | None:
        """Return the newest checkpoint of this run, else what `load` names, else None."""
        env, models = VecMonitor(self._env), self._models
        own = None if models is None else newest_agent_file(models, self._seat.agent)
        if own is not None and models is not None:
            return load_file(models, own, env)
        if self._settings.load is None:
            return None
        model = load_saved(Path(self._settings.load), self._seat.agent, env)
        model.num_timesteps = 0
        return model

    def _write_timing(self) -> None:
        if self._run_dir is not None:
            ticks = self._settings.updates * self._settings.n_steps
            path = self._run_dir / "timing" / f"{self._seat.node.name}.json"
            self._env.watch.write(path, ticks=ticks, n_envs=self._seat.view.n_envs)


class _AfterUpdates(BaseCallback):
    """Tells the learner where SB3's loop is."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self._learner = learner

    def _on_rollout_start(self) -> None:
        self._learner.rollout_starts()

    def _on_rollout_end(self) -> None:
        self._learner.rollout_ends()

    def _on_step(self) -> bool:
        return True
