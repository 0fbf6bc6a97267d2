"""Errors of the launch package; each says where, what, got, expected and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LaunchError(Exception):
    """Base of everything that the launch package raises on purpose."""

    exit_code = 2  # of the command: the input is wrong


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a launch file."""

    where: str  # file:line, or "command line"
    key: str  # dotted path of the key, may be empty
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.text) if part)


class LaunchFileError(LaunchError):
    """A launch file, or what the command line lays over it, that cannot be used; holds every fault found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class ShadowedPackageError(LaunchError):
    """An import of one of our packages finds somebody else's."""


class StartError(LaunchError):
    """A node did not become ready."""

    exit_code = 1  # the run failed


class NodeFailedError(LaunchError):
    """A node ended with an error, and its restart policy allows no further try."""

    exit_code = 1
