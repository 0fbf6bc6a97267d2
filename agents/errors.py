"""Errors of the agents package; each says what, where, got, expected and what to do."""

from __future__ import annotations


class AgentsError(Exception):
    """Base of everything that the agents package raises on purpose."""


class SetupError(AgentsError, ValueError):
    """An algorithm or a policy was asked for something that it cannot be."""


class CriticError(AgentsError):
    """No critic is at an address, or its answer cannot be used."""


class EnsembleFileError(AgentsError, ValueError):
    """A folder of saved agents is incomplete, damaged, or of another format."""


class SettingsError(AgentsError, ValueError):
    """A setting of an agent that does not exist or is out of range."""


class SimulatorGoneError(AgentsError):
    """The simulator fell silent, or this agent was told to stop while it waited."""


class EpochChangedError(AgentsError):
    """The world was reset or its simulator restarted: a rollout in progress must be dropped."""

    def __init__(self, before: int, now: int) -> None:
        super().__init__(f"the world began again: epoch {before} ended, epoch {now} runs")
        self.before = before
        self.now = now
