"""The recurrent actor: an LSTM before the hidden layers, stepped in numpy while acting."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents import mirror
from agents.errors import SetupError
from agents.mirror import as_numpy
from agents.policies import ActorOnly, NetArch


class RecurrentActorPolicy(ActorOnly, RecurrentActorCriticPolicy):  # type: ignore[misc]
    """The actor of RecurrentEnsemblePPO: an LSTM before the hidden layers, and none for values."""

    lstm_actor: nn.LSTM
    _process_sequence: Any

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: NetArch = None,
        **sb3: Any,
    ) -> None:
        for name in ("shared_lstm", "enable_critic_lstm"):
            if sb3.setdefault(name, False):
                message = (
                    f"{name}=True would build an LSTM for values, which the critic computes: leave it out"
                )
                raise SetupError(message)
        super().__init__(observation_space, action_space, lr_schedule, net_arch, **sb3)

    def forward(
        self, obs: th.Tensor, lstm_states: Any, episode_starts: th.Tensor, deterministic: bool = False
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, Any]:
        """Return actions, zero values (E, 1), log-probabilities (E,) and the next LSTM states."""
        if not self._acts_in_numpy(deterministic):
            return super().forward(obs, lstm_states, episode_starts, deterministic)  # type: ignore[no-any-return]
        actions, log_probs, state = self._step(obs, lstm_states.pi, episode_starts, deterministic)
        return actions, log_probs.new_zeros((len(log_probs), 1)), log_probs, RNNStates(state, state)

    def _predict(  # type: ignore[override]
        self,
        observation: Any,
        lstm_states: tuple[th.Tensor, th.Tensor],
        episode_starts: th.Tensor,
        deterministic: bool = False,
    ) -> tuple[th.Tensor, tuple[th.Tensor, ...]]:
        if not self._acts_in_numpy(deterministic):
            distribution, state = self.get_distribution(observation, lstm_states, episode_starts)
            return distribution.sample(), state
        actions, _, state = self._step(observation, lstm_states, episode_starts, deterministic)
        return actions, state

    def _drop_value_network(self) -> None:
        super()._drop_value_network()
        self.add_module("critic", nn.Identity())  # stood between the features and the value network

    def _step(
        self, obs: th.Tensor, state: tuple[th.Tensor, th.Tensor], starts: th.Tensor, deterministic: bool
    ) -> tuple[th.Tensor, th.Tensor, tuple[th.Tensor, th.Tensor]]:
        view = self._mirrored()
        if view is None or view.lstm is None:
            with th.no_grad():
                features = BasePolicy.extract_features(self, obs, self.pi_features_extractor)
                latent, state = self._process_sequence(features, state, starts, self.lstm_actor)
                parameters = as_numpy(self.action_net(self.mlp_extractor.forward_actor(latent)))
        else:
            keep = np.float32(1.0) - as_numpy(starts).reshape(1, -1, 1)
            output, hidden, cell = view.lstm(view.features(obs), *(as_numpy(part) * keep for part in state))
            parameters, state = view.mlp(output), (th.from_numpy(hidden), th.from_numpy(cell))
        return *self._decide(parameters, deterministic), state

    def _view(self) -> mirror.Mirror | None:
        hidden, features = self.mlp_extractor.policy_net, self.pi_features_extractor
        free = self._free_weights()
        return mirror.view(features, hidden, self.action_net, self.lstm_actor, self._head(), free)
