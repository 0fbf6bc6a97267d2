"""Errors of the critic; each says what, where, got, expected and what to do."""

from agents.errors import AgentsError


class CriticSettingsError(AgentsError, ValueError):
    """A setting outside its range, or an unknown one."""


class RolloutError(AgentsError):
    """A rollout that cannot be valued: unknown agent, wrong epoch, or grid states that are not to be had."""


class DigestError(AgentsError):
    """An agent's rewards and dones are not those of the grid."""


class CheckpointError(AgentsError):
    """A checkpoint that cannot be read or was made for another grid."""


class DivergenceError(AgentsError, ArithmeticError):
    """Grid states, rewards or the loss are no longer finite."""
