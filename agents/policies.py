"""Policies that only act: stock actor networks without a value network, with acting done in numpy.

The value function lives in the critic, so `value_net` (stable_baselines3/common/policies.py:614) gives
way to a module without parameters that returns zero: `predict_values` is 0, and what SB3 itself adds
for a truncated episode is 0. Gradients go through SB3's own `evaluate_actions`, which is untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor, MlpExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents import actor, mirror
from agents.errors import SetupError
from agents.mirror import as_numpy
from agents.normalized import NormalizedFeatures

NetArch = Sequence[int] | dict[str, list[int]] | None
DEFAULT_ACTOR = (128, 128)


class ZeroValue(nn.Module):
    """A value of 0 for every state, without parameters."""

    def forward(self, latent: th.Tensor) -> th.Tensor:
        """Return zeros (batch, 1) for features (batch, n)."""
        return latent.new_zeros((latent.shape[0], 1))


class ActorOnly(BasePolicy):
    """What the policies share: no value network, and acting by the numpy mirror.

    With a `generator` actions are drawn from it. Without one (after a plain `PPO.load`) sampling is left to
    the stock policy and its process-wide generator; deterministic actions are the same either way.

    Args:
        observation_space: As in SB3.
        action_space: As in SB3.
        lr_schedule: As in SB3.
        net_arch: Hidden layers of the actor: a list, or SB3's dict(pi=..., vf=...), whose vf must be empty.
        first_action_bias: Added to the first action's logit at the start (Discrete only): a prior for doing
            nothing, where most actions do harm. 6 among 50 equal choices begins with 89 % of action 0.
        normalize_observations: Whether the network sees them normalized, by agents.normalized.
        **sb3: The stock policy's other arguments, unchanged.
    """

    generator: np.random.Generator | None = None
    action_net: nn.Module
    mlp_extractor: MlpExtractor
    pi_features_extractor: BaseFeaturesExtractor
    log_std: nn.Parameter
    get_distribution: Any
    _mirror: mirror.Mirror | None = None

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: NetArch = None,
        first_action_bias: float = 0.0,
        normalize_observations: bool = False,
        **sb3: Any,
    ) -> None:
        if first_action_bias and not isinstance(action_space, spaces.Discrete):
            message = f"first_action_bias is {first_action_bias}, expected 0 for actions in {action_space}"
            raise SetupError(message)
        if sb3.get("use_sde"):
            message = (
                "use_sde draws from torch's process-wide generator at every step: use the plain Gaussian"
            )
            raise SetupError(message)
        if not sb3.get("share_features_extractor", True):
            message = (
                "share_features_extractor=False would keep features for a value network that is not here"
            )
            raise SetupError(message)
        if normalize_observations:
            sb3["features_extractor_class"] = _normalized_features(observation_space, sb3)
        super().__init__(observation_space, action_space, lr_schedule, net_arch=actor_layers(net_arch), **sb3)
        self._drop_value_network()
        if first_action_bias:
            assert isinstance(self.action_net, nn.Linear)
            with th.no_grad():
                self.action_net.bias[0] += first_action_bias
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def set_training_mode(self, mode: bool) -> None:
        """Switch between training and evaluation; the numpy view is taken anew at the next action.

        SB3's `predict` asks for evaluation every time, and walks through all modules for it.
        """
        if mode != self.training:
            super().set_training_mode(mode)
        self._mirror = None

    def learned_from(self, observations: np.ndarray) -> None:
        """Take note of the observations (..., n) of a rollout when learning from it is over."""
        if isinstance(self.pi_features_extractor, NormalizedFeatures):
            self.pi_features_extractor.update(observations)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the numpy view behind: a copy's weights live elsewhere."""
        return {**self.__dict__, "_mirror": None}

    def _drop_value_network(self) -> None:
        self.add_module("value_net", ZeroValue())

    def _acts_in_numpy(self, deterministic: bool) -> bool:
        return deterministic or self.generator is not None

    def _decide(
        self, parameters: np.ndarray, deterministic: bool, masks: np.ndarray | th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        if masks is not None:
            masks = np.asarray(masks, bool).reshape(parameters.shape[0], -1)
        view = self._mirror
        head = self._head() if view is None else view.head
        actions, log_probs = head.decide(parameters, None if deterministic else self.generator, masks)
        shape = (-1, *(self.action_space.shape or ()))
        tensors = th.from_numpy(actions.reshape(shape)), th.from_numpy(log_probs)
        return tensors if view is not None else (tensors[0].to(self.device), tensors[1].to(self.device))

    def _forward(
        self, obs: th.Tensor, deterministic: bool, masks: np.ndarray | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        actions, log_probs = self._decide(self._parameters_for(obs), deterministic, masks)
        return actions, log_probs.new_zeros((len(log_probs), 1)), log_probs

    def _parameters_for(self, obs: th.Tensor) -> np.ndarray:
        """Return what the actor network computes, (E, n)."""
        view = self._mirrored()
        if view is not None:
            return view.mlp(view.features(obs))
        with th.no_grad():
            features = BasePolicy.extract_features(self, obs, self.pi_features_extractor)
            return as_numpy(self.action_net(self.mlp_extractor.forward_actor(features)))

    def _head(self) -> actor.Head:
        space = self.action_space
        if isinstance(space, spaces.Box):
            return actor.Gaussian(as_numpy(self.log_std))
        if isinstance(space, spaces.Discrete):
            return actor.Categorical((int(space.n),))
        if isinstance(space, spaces.MultiDiscrete):
            return actor.Categorical(tuple(int(n) for n in space.nvec))
        assert isinstance(space, spaces.MultiBinary)
        return actor.Bernoulli(int(np.prod(space.shape)))

    def _mirrored(self) -> mirror.Mirror | None:
        """Return the current numpy view of the actor; None if torch has to compute it."""
        if self._mirror is None or not self._mirror.is_current():
            self._mirror = self._view() if self._sees_plain_numbers() else None
        return self._mirror

    def _view(self) -> mirror.Mirror | None:
        hidden, features = self.mlp_extractor.policy_net, self.pi_features_extractor
        return mirror.view(features, hidden, self.action_net, None, self._head(), self._free_weights())

    def _free_weights(self) -> tuple[nn.Parameter, ...]:
        """Return the weights that belong to no layer."""
        return (self.log_std,) if isinstance(self.action_space, spaces.Box) else ()

    def _sees_plain_numbers(self) -> bool:
        space = self.observation_space
        image = self.normalize_images and is_image_space(space)
        plain = isinstance(space, spaces.Box) and not image
        return plain and type(self.pi_features_extractor) in (FlattenExtractor, NormalizedFeatures)


class ActorPolicy(ActorOnly, ActorCriticPolicy):
    """The actor of EnsemblePPO."""

    def forward(self, obs: th.Tensor, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Return actions, zero values (E, 1) and log-probabilities (E,) for observations."""
        if not self._acts_in_numpy(deterministic):
            return super().forward(obs, deterministic)
        return self._forward(obs, deterministic)

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        if not self._acts_in_numpy(deterministic):
            return super()._predict(observation, deterministic)
        return self._forward(observation, deterministic)[0]


class MaskableActorPolicy(ActorOnly, MaskableActorCriticPolicy):  # type: ignore[misc]
    """The actor of MaskableEnsemblePPO."""

    def forward(
        self, obs: th.Tensor, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Return legal actions, zero values (E, 1) and log-probabilities (E,) for observations."""
        if not self._acts_in_numpy(deterministic):
            return super().forward(obs, deterministic, action_masks)  # type: ignore[no-any-return]
        return self._forward(obs, deterministic, action_masks)

    def _head(self) -> actor.Head:
        if isinstance(self.action_space, spaces.MultiBinary):  # sb3_contrib masks two outcomes each
            return actor.Categorical((2,) * int(np.prod(self.action_space.shape)))
        return super()._head()

    def _predict(
        self, observation: Any, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> th.Tensor:
        if not self._acts_in_numpy(deterministic):
            actions: th.Tensor = self.get_distribution(observation, action_masks).sample()
            return actions
        return self._forward(observation, deterministic, action_masks)[0]


def _normalized_features(space: spaces.Space[Any], sb3: dict[str, Any]) -> type[NormalizedFeatures]:
    if "features_extractor_class" in sb3 or not isinstance(space, spaces.Box) or is_image_space(space):
        message = (
            f"normalize_observations=True is for plain numbers, got observations in {space} and "
            f"features_extractor_class={sb3.get('features_extractor_class')}: leave one of the two out"
        )
        raise SetupError(message)
    return NormalizedFeatures


def actor_layers(net_arch: NetArch) -> dict[str, list[int]]:
    """Return SB3's net_arch for an actor alone.

    Raises:
        SetupError: layers for a value network were asked for.
    """
    if net_arch is None:
        return {"pi": list(DEFAULT_ACTOR), "vf": []}
    if not isinstance(net_arch, dict):
        return {"pi": list(net_arch), "vf": []}
    if net_arch.get("vf"):
        message = (
            f"net_arch has vf={net_arch['vf']}, but values come from the critic: give dict(pi=[...], vf=[]) "
            "or the list of the actor's layers"
        )
        raise SetupError(message)
    return {"pi": list(net_arch.get("pi", [])), "vf": []}
