"""The centralized critic in the agents' own process: for training without a bus, e.g. in a notebook."""

from __future__ import annotations

from agents.critic.centralized import CentralizedCritic
from agents.critic.digest import rollout_digest
from agents.critic.errors import RolloutError
from agents.critic.rollouts import Bool, Float32
from broker.messages import AdvantageRequest


class LocalCritic:
    """One agent's view of a critic that is fed by `critic.observe`; a source of advantages."""

    def __init__(self, critic: CentralizedCritic, agent: str) -> None:
        self.critic = critic
        self.agent = agent

    def advantages(
        self, rewards: Float32, dones: Bool, gamma: float, gae_lambda: float
    ) -> tuple[Float32, Float32, Float32]:
        """Return values, advantages and returns (T, E) of the newest T steps.

        The critic trains once all its agents have asked.

        Raises:
            RolloutError: if the critic has not observed these steps.
            DigestError: if the rewards or dones are not those observed.
        """
        newest = self.critic.store.newest
        if newest is None:
            msg = f"critic: agent {self.agent} asks for advantages, but no grid state was observed"
            raise RolloutError(msg)
        request = AdvantageRequest(
            agent=self.agent,
            epoch=self.critic.store.epoch,
            first_tick=newest - len(rewards),
            n_steps=len(rewards),
            gamma=gamma,
            gae_lambda=gae_lambda,
            digest=rollout_digest(rewards, dones),
        )
        answer = self.critic.answer(request)
        if self.critic.due:
            self.critic.train()
        return answer.values, answer.advantages, answer.returns
