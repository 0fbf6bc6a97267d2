"""How long a lock-step tick waits for each agent."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.settings import SimulatorSettings


class Patience:
    """The time each agent has to answer a tick.

    One that never answered may still be loading its libraries and has `start_deadline_s`; who did
    has `deadline_s`; who missed a deadline is waited for no longer than `retry_s`, until it is heard again.

    Args:
        settings: the deadlines.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._answered: set[str] = set()
        self._given_up: set[str] = set()

    def hear(self, agent: str) -> None:
        """Take note of a sign of life."""
        self._given_up.discard(agent)

    def answer(self, agent: str) -> None:
        """Take note of the answer to an open tick."""
        self._answered.add(agent)

    def give_up(self, agents: Iterable[str]) -> list[str]:
        """Take note of missed deadlines; return who has not missed the one before, too."""
        news = [agent for agent in agents if agent not in self._given_up]
        self._given_up.update(news)
        return news

    def limit_s(self, agent: str) -> float:
        """Return how long a tick waits for an agent, in seconds."""
        settings = self._settings
        if agent in self._given_up:
            return min(settings.retry_s, settings.deadline_s)
        return settings.deadline_s if agent in self._answered else settings.start_deadline_s

    def overdue(self, missing: Iterable[str], waited_s: float) -> list[str]:
        """Return who of the missing has no time left."""
        return [agent for agent in missing if waited_s > self.limit_s(agent)]

    def slow(self, missing: Iterable[str], waited_s: float) -> dict[str, float]:
        """Return who of the missing has used up half of its time, and how much that is, in seconds."""
        limits = {agent: self.limit_s(agent) for agent in missing if agent not in self._given_up}
        return {agent: limit_s for agent, limit_s in limits.items() if waited_s > limit_s / 2}
