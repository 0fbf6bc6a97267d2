"""What can be wrong with a question to the bus."""

from __future__ import annotations

from launch.errors import LaunchError


class QuestionError(LaunchError):
    """A name, field, type or value on the command line that cannot be."""


class NoBrokerError(LaunchError):
    """No broker listens where one was looked for."""

    exit_code = 1
