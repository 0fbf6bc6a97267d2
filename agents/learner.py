"""One agent that learns on the bus: build the SB3 algorithm, learn, keep checkpoints, survive new epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from agents.advantages import critic_of
from agents.curves import curves_logger
from agents.ensemble_files import load_file, newest_agent_file, read_manifest, save_agent
from agents.ensemble_ppo import (
    EnsemblePPO,
    MaskableEnsemblePPO,
    RecurrentEnsemblePPO,
    SharedCriticAlgorithm,
)
from agents.env import BusVecEnv
from agents.errors import AgentsError, EpochChangedError, SettingsError, SimulatorGoneError
from agents.memory import memory_of
from agents.own_critic import OwnCritic
from agents.recipe import MemorySettings
from agents.saved_policy import SavedPolicy, load_saved
from agents.schedules import with_schedules
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

    Raises:
        SettingsError: the simulator runs in real time, there is no critic, or `load` names another kind of
            policy.
    """

    def __init__(self, seat: Seat, settings: AgentSettings) -> None:
        if seat.view.mode != "lockstep":
            msg = f"agent '{seat.agent}': simulator mode is '{seat.view.mode}'; learning needs 'lockstep'"
            raise SettingsError(msg)
        th.set_num_threads(1)  # agents share the cores, and sums must not depend on how many there are
        self._seat = seat
        self._settings = settings
        self._run_dir = None if settings.run_dir is None else Path(settings.run_dir)
        self._models = None if self._run_dir is None else self._run_dir / "models"
        memory = memory_of(seat.view, MemorySettings.from_mapping(settings.memory), settings.corrects)
        shown = seat.view.observation_space
        critic = critic_of(seat, settings, shown if memory is None else memory.space(shown))
        self._own_critic = critic if isinstance(critic, OwnCritic) else None
        see = None if self._own_critic is None else self._own_critic.see
        self._started = False
        self._env = BusVecEnv(seat, critic, see, settings.n_steps, memory)
        try:
            self._model = self._resumed() or self._new()
        except BaseException:
            self._env.detach()
            raise
        self._env.stand_in = SavedPolicy(self._model, deterministic=False)
        self._logger = None if self._run_dir is None else curves_logger(self._run_dir / "tb" / seat.agent)
        if self._logger is not None:
            self._model.set_logger(self._logger)

    @property
    def updates_done(self) -> int:
        """Return the number of rollouts learned from."""
        return self._model.num_timesteps // self._rollout_size

    def run(self) -> None:
        """Learn until all updates are done; a new epoch drops the rollout in progress."""
        try:
            self._learn()
        finally:
            self._env.detach()
            if self._logger is not None:
                self._logger.close()

    def _learn(self) -> None:
        total = self._settings.updates * self._rollout_size
        callback = _AfterUpdates(self)
        while self._model.num_timesteps < total:
            try:
                self._model.learn(total - self._model.num_timesteps, callback, reset_num_timesteps=False)
            except EpochChangedError as change:
                self._seat.node.log("warning", f"{change}; the rollout in progress is dropped")
                self._drop_rollout()
            except SimulatorGoneError:
                if self._model.rollout_buffer.full:  # stopped while it asked for advantages: nothing learned
                    self._model.num_timesteps -= self._rollout_size
                self._drop_rollout()
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
        """Write the agent's zip, and the critic if it has its own, into the run's models folder."""
        if self._models is not None:
            if self._own_critic is not None:
                self._own_critic.save(self._models, self.updates_done)
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

    def _drop_rollout(self) -> None:
        self._model.num_timesteps = self.updates_done * self._rollout_size
        self._model.drop_rollout()

    def _resumed(self) -> SharedCriticAlgorithm | None:
        """Return the newest checkpoint of this run, None if there is none."""
        entry = None if self._models is None else newest_agent_file(self._models, self._seat.agent)
        if entry is None or self._models is None:
            return None
        try:
            model = load_file(self._models, entry, VecMonitor(self._env))
        except ValueError as error:
            msg = (
                f"agent '{self._seat.agent}': {self._models / entry.file} does not fit this run ({error}); "
                "give the grid and memory settings that it learned with, or another run folder"
            )
            raise SettingsError(msg) from error
        if self._own_critic is not None and not self._own_critic.restore(self._models, entry.updates):
            self._seat.node.log("warning", f"there is no critic beside {entry.file}: it starts anew")
        return model

    def _new(self) -> SharedCriticAlgorithm:
        """Return a model of this run's settings, with the weights of an earlier one if `load` names it."""
        algorithm, policy = ALGORITHMS[self._settings.algorithm]
        try:
            model = algorithm(
                self._settings.policy or policy,
                VecMonitor(self._env),
                n_steps=self._settings.n_steps,
                seed=self._settings.seed,
                weights_seed=self._settings.weights_seed,
                **with_schedules(self._settings.hyperparameters),
            )
        except AgentsError:
            raise
        except (TypeError, ValueError, AssertionError, AttributeError) as error:
            msg = (
                f"agent '{self._seat.agent}': {algorithm.__name__} refuses its settings: {error}; correct "
                "agents.algorithm, agents.policy or agents.hyperparameters"
            )
            raise SettingsError(msg) from error
        if self._settings.load is not None:
            self._start_from(model, Path(self._settings.load))
        return model

    def _start_from(self, model: SharedCriticAlgorithm, path: Path) -> None:
        earlier = load_saved(path, self._seat.agent)
        if earlier.memory != model.memory:
            msg = (
                f"agent '{self._seat.agent}': the policy in {path} learned with memory {earlier.memory}, "
                f"this run has {model.memory}; give both the same memory settings"
            )
            raise SettingsError(msg)
        try:
            model.policy.load_state_dict(earlier.policy.state_dict())
        except RuntimeError as error:
            msg = (
                f"agent '{self._seat.agent}': the policy in {path} does not fit this run's algorithm, "
                f"policy_kwargs or grid ({error})"
            )
            raise SettingsError(msg) from error
        if self._own_critic is not None and path.is_dir():
            updates = read_manifest(path).agent(self._seat.agent).updates
            if not self._own_critic.start_from(path, updates):
                self._seat.node.log(
                    "warning", f"there is no critic of {updates} updates in {path}: it starts anew"
                )

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
