"""PPO, MaskablePPO and RecurrentPPO of one agent in an ensemble whose values come from a shared critic.

Nothing of `collect_rollouts` is overridden, and of `train` only whether it is called: the policy has no value
network, the rollout buffer asks the critic, and everything random comes from the agent's own generators.

Papers: Schulman et al. 2017 (PPO), arXiv:1707.06347; Yu et al. 2022 (MAPPO), arXiv:2103.01955;
Huang and Ontañón 2022 (masking), arXiv:2006.14171.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import VecEnv

from agents.buffers import (
    EnsembleRolloutBuffer,
    MaskableEnsembleRolloutBuffer,
    RecurrentEnsembleRolloutBuffer,
)
from agents.errors import SetupError
from agents.generators import AgentGenerators, forked_torch
from agents.policies import ActorOnly, ActorPolicy, MaskableActorPolicy
from agents.recurrent_policy import RecurrentActorPolicy

_NOT_HERE = {
    "vf_coef": "the critic trains itself",
    "clip_range_vf": "the critic trains itself",
    "rollout_buffer_class": "the buffer that asks the critic is part of the algorithm",
    "rollout_buffer_kwargs": "the buffer that asks the critic is part of the algorithm",
    "use_sde": "its noise comes from torch's process-wide generator",
    "sde_sample_freq": "its noise comes from torch's process-wide generator",
}


class SharedCriticAlgorithm(OnPolicyAlgorithm):
    """What the three algorithms share.

    Args:
        policy: "MlpPolicy" ("MlpLstmPolicy" for the recurrent one), or a subclass of its policy.
        env: The environment. One over the bus knows its critic (`get_attr("advantage_address")`).
        learning_rate: As in SB3.
        critic: Address in `agents.sources`; needed where the environment does not know it.
        weights_seed: Draws the initial weights in place of `seed`, so that several agents can begin alike.
        normalize_advantage: Whether advantages get mean 0 and deviation 1 over the whole rollout.
        device: "cpu" unless asked otherwise: "auto" is the CPU here, where these small actors are fastest
            (https://github.com/DLR-RM/stable-baselines3/issues/1245).
        **sb3: Every other argument of the SB3 algorithm, but those that concern a value network of its own.
    """

    policy: ActorOnly  # type: ignore[assignment]
    rollout_buffer: EnsembleRolloutBuffer
    critic: str | None
    weights_seed: int | None = None
    memory: dict[str, Any] | None = None  # agents.recipe.Recipe as saved: how its observations are made
    generators: AgentGenerators
    buffer_type: ClassVar[type[EnsembleRolloutBuffer]]

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule = 3e-4,
        *,
        critic: str | None = None,
        weights_seed: int | None = None,
        normalize_advantage: bool = True,
        device: th.device | str = "auto",
        **sb3: Any,
    ) -> None:
        for name in _NOT_HERE.keys() & sb3.keys():
            message = f"{type(self).__name__} does not take {name}: {_NOT_HERE[name]}"
            raise SetupError(message)
        if not isinstance(policy, str) and not issubclass(policy, ActorOnly):
            message = (
                f"{type(self).__name__} got policy {policy.__name__}, which has a value network of its own: "
                f"use one of {sorted(self.policy_aliases)} or subclass {self._default_policy().__name__}"
            )
            raise SetupError(message)
        self.critic = critic
        self.weights_seed = weights_seed
        self.normalize_whole_rollout = normalize_advantage
        super().__init__(  # type: ignore[call-arg]
            policy,  # type: ignore[arg-type]
            env,  # type: ignore[arg-type]
            learning_rate,
            vf_coef=0.0,
            normalize_advantage=False,
            device="cpu" if device == "auto" else device,
            **sb3,
        )

    def _setup_model(self) -> None:
        if isinstance(self.observation_space, spaces.Dict):
            message = (
                f"{type(self).__name__} got observations {self.observation_space}, expected one array: "
                "flatten them (gymnasium.wrappers.FlattenObservation)"
            )
            raise SetupError(message)
        restored = self.__dict__.get("generators")  # load() put them there
        self.rollout_buffer_class = self.buffer_type
        self.rollout_buffer_kwargs = {
            "critic": self._find_critic(),
            "normalize": self.normalize_whole_rollout,
        }
        self._take_memory_of(self.env)
        self.generators = AgentGenerators.from_seed(self.seed)
        with forked_torch(self.seed if self.weights_seed is None else self.weights_seed):
            super()._setup_model()
        self.generators = restored or self.generators
        self._connect()

    def set_random_seed(self, seed: int | None = None) -> None:
        """Give the agent new generators; unlike SB3, the process-wide ones stay as they are."""
        if seed is None:
            return
        self.generators = AgentGenerators.from_seed(seed)
        self.action_space.seed(seed)
        if self.env is not None:
            self.env.seed(seed)  # an environment over the bus ignores it: the simulator owns its seed
        if "policy" in self.__dict__:
            self._connect()

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """As in SB3; the critic is then the new environment's. Raises SetupError for another memory."""
        self._take_memory_of(env)
        super().set_env(env, force_reset)
        self.rollout_buffer.critic = self.rollout_buffer_kwargs["critic"] = self._find_critic()

    def learn(self, *args: Any, **kwargs: Any) -> Self:
        """As in SB3; afterwards the statistics of observations include the last rollout."""
        super().learn(*args, **kwargs)
        self.rollout_buffer.conclude()
        return self

    def drop_rollout(self) -> None:
        """Forget the rollout in progress; the next `learn` begins with a reset of the environment."""
        self._last_obs = None
        self.rollout_buffer.reset()

    def dump_logs(self, iteration: int = 0) -> None:
        """Write the log; without SB3's value loss, which measures a value function that is zero."""
        self.logger.name_to_value.pop("train/value_loss", None)
        self.logger.name_to_excluded.pop("train/value_loss", None)
        self.logger.record("rollout/advantage_mean", self.rollout_buffer.advantage_mean)
        self.logger.record("rollout/advantage_std", self.rollout_buffer.advantage_std)
        super().dump_logs(iteration)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "critic"]  # the buffer's arguments keep the address

    def _connect(self) -> None:
        self.policy.generator = self.generators.acting
        self.rollout_buffer.generator = self.generators.minibatches
        self.rollout_buffer.learned_from = self.policy.learned_from

    def _find_critic(self) -> str | None:
        """Return the critic's address: the one given, else the environment's, else the one saved."""
        address = self.critic or self._critic_of_env() or self.rollout_buffer_kwargs.get("critic")
        if address is None and self.env is not None:
            message = (
                f"{type(self).__name__} has no critic: {self.env} has no attribute advantage_address. "
                "Train over the bus (agents.env), or register a source with "
                "agents.sources.register(address, source) and pass critic=address"
            )
            raise SetupError(message)
        return address

    def _critic_of_env(self) -> str | None:
        address = self._of_env("advantage_address")
        return None if address is None else str(address)

    def _take_memory_of(self, env: GymEnv | None) -> None:
        """Keep how the environment makes observations of what it remembers, so that acting does the same."""
        if not isinstance(env, VecEnv) or not env.has_attr("memory_recipe"):
            return
        recipe = env.get_attr("memory_recipe")[0]
        if self.__dict__.get("memory", recipe) != recipe:
            message = (
                f"{type(self).__name__} learned with memory {self.memory}, but its environment has {recipe}: "
                "use the same memory settings, or start a new model"
            )
            raise SetupError(message)
        self.memory = recipe

    def _of_env(self, name: str) -> Any:
        return self.env.get_attr(name)[0] if self.env is not None and self.env.has_attr(name) else None

    @classmethod
    def _default_policy(cls) -> type[BasePolicy]:
        return next(iter(cls.policy_aliases.values()))


class EnsemblePPO(SharedCriticAlgorithm, PPO):
    """PPO whose advantages come from the shared critic; see `SharedCriticAlgorithm` for the arguments."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": ActorPolicy}
    buffer_type = EnsembleRolloutBuffer


class MaskableEnsemblePPO(SharedCriticAlgorithm, MaskablePPO):  # type: ignore[misc]
    """MaskablePPO whose advantages come from the shared critic; forced actions take no part in training."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": MaskableActorPolicy}
    buffer_type = MaskableEnsembleRolloutBuffer
    rollout_buffer: MaskableEnsembleRolloutBuffer

    def train(self) -> None:
        """As in sb3_contrib; but a rollout whose choices have no advantage over each other is left out.

        There is none, one, or all are equal: the gradient is zero, and Adam would go on in the direction of
        earlier rollouts.
        """
        if self.rollout_buffer.advantages.any():  # those of forced actions are 0
            super().train()


class RecurrentEnsemblePPO(SharedCriticAlgorithm, RecurrentPPO):  # type: ignore[misc]
    """RecurrentPPO whose advantages come from the shared critic; LSTM states are saved with it."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpLstmPolicy": RecurrentActorPolicy}
    buffer_type = RecurrentEnsembleRolloutBuffer

    _last_lstm_states: Any

    def _setup_model(self) -> None:
        restored = self._last_lstm_states  # load() put them there; the stock set-up zeroes them
        super()._setup_model()
        if restored is not None and restored.pi[0].shape == self._last_lstm_states.pi[0].shape:
            self._last_lstm_states = restored
        self.rollout_buffer = self._make_buffer()  # RecurrentPPO takes no rollout_buffer_class
        self._connect()

    def _make_buffer(self) -> RecurrentEnsembleRolloutBuffer:
        assert isinstance(self.policy, RecurrentActorPolicy)
        lstm = self.policy.lstm_actor
        return RecurrentEnsembleRolloutBuffer(
            self.n_steps,
            self.observation_space,
            self.action_space,
            (self.n_steps, lstm.num_layers, self.n_envs, lstm.hidden_size),
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
            **self.rollout_buffer_kwargs,
        )

    def _excluded_save_params(self) -> list[str]:
        return [name for name in super()._excluded_save_params() if name != "_last_lstm_states"]


ALGORITHMS: dict[str, type[SharedCriticAlgorithm]] = {
    cls.__name__: cls for cls in (EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO)
}
