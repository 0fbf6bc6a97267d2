"""Where an agent on the bus gets its advantages: the critic service, or a critic of its own."""

from __future__ import annotations

import time

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.critic.digest import rollout_digest
from agents.critic.independent import IndependentCritic
from agents.critic.settings import CriticSettings
from agents.errors import SettingsError, SimulatorGoneError
from agents.own_critic import OwnCritic, Table
from agents.seat import Seat
from agents.settings import AgentSettings
from broker.errors import RequestTimeoutError, ServiceError, ServiceUnavailableError
from broker.messages import AdvantageRequest, Advantages
from broker.services import ADVANTAGES

NEW_EPOCH_S = 2.0  # how long a new world's observation may be behind the critic's refusal


class CriticClient:
    """Asks the critic service; waits for it through restarts, up to a deadline.

    Args:
        seat: the agent, whose newest tick ends the rollout that is asked about.
        deadline_s: how long to wait for a critic that is away.
    """

    def __init__(self, seat: Seat, deadline_s: float = 120.0) -> None:
        self._seat = seat
        self._client = seat.node.client(ADVANTAGES)
        self._deadline_s = deadline_s

    def advantages(
        self, rewards: Table, dones: NDArray[np.bool_], gamma: float, gae_lambda: float
    ) -> tuple[Table, Table, Table]:
        """Return values, advantages and returns (T, E) of the rollout that just ended.

        Raises:
            ServiceError: the critic cannot value this rollout.
            EpochChangedError: because the world was reset or restarted meanwhile.
            RequestTimeoutError: there is no critic within the deadline.
            SimulatorGoneError: the node was stopped meanwhile.
        """
        steps = len(rewards)
        request = AdvantageRequest(
            agent=self._seat.agent,
            epoch=self._seat.epoch,
            first_tick=self._seat.tick - steps,
            n_steps=steps,
            gamma=gamma,
            gae_lambda=gae_lambda,
            digest=rollout_digest(rewards, dones),
        )
        reply = self._ask(request)
        return reply.values, reply.advantages, reply.returns

    def _ask(self, request: AdvantageRequest) -> Advantages:
        until = time.monotonic() + self._deadline_s
        while True:
            try:
                return self._client.call(request, timeout_s=10.0)
            except (RequestTimeoutError, ServiceUnavailableError) as error:
                if not self._seat.node.ok():
                    msg = f"agent '{self._seat.agent}': was stopped while it asked the critic"
                    raise SimulatorGoneError(msg) from error
                if time.monotonic() > until:
                    raise
                self._seat.node.spin(0.2)
            except ServiceError:
                # The critic may have heard before this agent that the world began anew.
                self._seat.await_new_epoch(NEW_EPOCH_S)
                raise


def critic_of(seat: Seat, settings: AgentSettings, observation_space: spaces.Box) -> CriticClient | OwnCritic:
    """Return the source of advantages that the settings ask for; one of its own sees `observation_space`.

    Raises:
        SettingsError: a learning agent without a critic.
    """
    if settings.critic_mode == "centralized":
        return CriticClient(seat)
    if settings.critic_mode == "independent":
        own = {key: value for key, value in settings.critic.items() if key != "mode"}
        critic_settings = CriticSettings.from_mapping({**own, "seed": settings.seed})
        width, per_scenario = observation_space.shape[0], seat.view.copies_per_scenario
        return OwnCritic(IndependentCritic(seat.agent, width, critic_settings, per_scenario))
    msg = f"agent '{seat.agent}': mode 'train' needs a critic; set critic.mode to centralized or independent"
    raise SettingsError(msg)
