"""A Stable-Baselines3 VecEnv whose world is on the bus.

The E copies of the grid are the E environments. Other agents act in the same world, so it cannot be
reset or seeded from here: `reset` waits for the world, and `seed` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from agents import sources
from agents.baselines import Policy
from agents.errors import AgentsError
from agents.memory import Memory
from agents.seat import Seat
from broker.messages import Observation
from broker.stopwatch import Stopwatch

See = Callable[[Observation], None]


class BusVecEnv(VecEnv):
    """The E copies of a grid as one agent sees them.

    Args:
        seat: the agent's place on the bus.
        source: who answers for advantages at the end of a rollout; None where nobody learns.
        see: called with every observation (and what is remembered), for a critic of the agent's own.
        rollout_length: n_steps of the algorithm. An agent that joins a running world starts its first
            rollout at a multiple of it, together with the others, and acts by `stand_in` until then.
        memory: what the agent remembers of an episode; None: nothing.
    """

    def __init__(
        self,
        seat: Seat,
        source: sources.AdvantageSource | None = None,
        see: See | None = None,
        rollout_length: int | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.seat = seat
        self.rollout_length = rollout_length
        self.stand_in: Policy | None = None
        self.watch = Stopwatch()
        self._obs: Observation | None = None
        self._actions: NDArray[np.generic] | None = None
        self._source = source
        self._see = see or (lambda _: None)
        self._memory = memory
        self._address = f"{seat.node.name}/{seat.agent}"
        if source is not None:
            sources.register(self._address, source)
        shown = seat.view.observation_space
        space = shown if memory is None else memory.space(shown)
        super().__init__(seat.view.n_envs, space, seat.view.action_space)

    @property
    def advantage_address(self) -> str | None:
        """Return the address under which rollout buffers find the source of advantages."""
        return None if self._source is None else self._address

    @property
    def memory_recipe(self) -> dict[str, Any] | None:
        """Return what is remembered, as models save it; None: nothing."""
        return None if self._memory is None else self._memory.recipe.saved()

    def reset(self) -> VecEnvObs:
        """Return (E, d): the observation that waits for an answer, at the start of a rollout."""
        observation = self.seat.sit_down()
        starts = np.ones(self.num_envs, np.bool_)
        remembered = self._take_in(observation, starts)
        while self.rollout_length is not None and observation.tick % self.rollout_length:
            if self.stand_in is None:
                msg = (
                    f"agent '{self.seat.agent}': joined at tick {observation.tick}, in the middle of a "
                    f"rollout of {self.rollout_length}; set `stand_in` to act until the next one begins"
                )
                raise AgentsError(msg)
            self._send(self.stand_in.act(observation.obs, observation.mask, starts))
            observation = self.seat.next()
            starts = observation.terminated | observation.truncated
            remembered = self._take_in(observation, starts)
        return remembered.obs.copy()

    def step_async(self, actions: NDArray[np.generic]) -> None:
        """Publish the actions (E,) or (E, d) for the current tick."""
        self.watch.lap("acting")
        self._answer(actions)
        self.watch.lap("messaging")

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for the next tick."""
        shown = self.seat.next()
        self.watch.lap("waiting")
        done = shown.terminated | shown.truncated
        observation = self._take_in(shown, done)
        # SB3 adds to the rewards in place, and messages are read-only.
        return observation.obs.copy(), observation.reward.copy(), done, _infos(observation, done)

    def _answer(self, actions: NDArray[np.generic]) -> None:
        self._send(actions if self._memory is None else self._memory.applied(actions))

    def _send(self, actions: NDArray[np.generic]) -> None:
        if self._memory is not None:
            self._memory.acted(actions)
        self.seat.answer(actions)

    def _take_in(self, observation: Observation, starts: NDArray[np.bool_]) -> Observation:
        """Return the observation with what is remembered; `starts` are the copies whose episode is new."""
        memory = self._memory
        if memory is not None:
            final = None if observation.final_obs is None else memory.last(observation.final_obs)
            seen = memory.see(observation.obs, starts)
            observation = replace(observation, obs=seen, final_obs=final)
        self._obs = observation
        self._see(observation)
        return observation

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (E, n): True where the action may be taken. Raises AgentsError without masks."""
        if self._obs is None or self._obs.mask is None:
            msg = f"agent '{self.seat.agent}': grid '{self.seat.view.grid}' sends no action masks"
            raise AgentsError(msg)
        return self._obs.mask

    def close(self) -> None:
        """Leave the table: the simulator waits for this agent no more."""
        self.seat.leave()
        self.detach()

    def detach(self) -> None:
        """Take the source of advantages out of this process's register; the agent keeps its seat."""
        sources.unregister(self._address)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:  # noqa: ARG002 (VecEnv's signature)
        """Do nothing: the simulator alone owns the world's seeds."""
        return [None] * self.num_envs

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the environments have an attribute; `action_masks` only where there are masks."""
        if attr_name == "action_masks":
            return self.seat.view.masked
        return hasattr(self, attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute once per environment."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: the environments live in the simulator."""
        del value, indices
        msg = f"agent '{self.seat.agent}': cannot set '{attr_name}', the environments live in the simulator"
        raise AttributeError(msg)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Answer `action_masks`; anything else lives in the simulator and cannot be called."""
        if method_name != "action_masks" or method_args or method_kwargs:
            msg = f"agent '{self.seat.agent}': cannot call '{method_name}', its environments live elsewhere"
            raise AttributeError(msg)
        masks = self.action_masks()
        return [masks[index] for index in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:  # noqa: ARG002
        """Return False for every environment."""
        return [False for _ in self._get_indices(indices)]


def _infos(observation: Observation, done: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return SB3's info of every copy; each has a dict of its own because wrappers write into it."""
    infos: list[dict[str, Any]] = [{} for _ in range(len(done))]
    for copy in np.flatnonzero(done):
        infos[copy]["TimeLimit.truncated"] = bool(
            observation.truncated[copy] and not observation.terminated[copy]
        )
        if observation.final_obs is not None:
            infos[copy]["terminal_observation"] = observation.final_obs[copy].copy()
    return infos
