"""Errors of the broker package; each says what, where, got, expected and what to do."""

from __future__ import annotations

import reprlib

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 60
_BRIEF.maxtuple = _BRIEF.maxlist = 12
_BRIEF.maxlevel = 4
_LONGEST = 200  # characters


class BrokerError(Exception):
    """Base of everything that the broker package raises on purpose."""


class MessageError(BrokerError, ValueError):
    """A message whose fields contradict its type: our own fault, found before sending."""


class FrameError(BrokerError, ValueError):
    """Bytes from a peer that are not a valid message: the peer's fault; refused and counted."""

    sender = "unknown sender"


class TopicError(BrokerError, ValueError):
    """A topic, service or node name that cannot be used."""


class ConnectionFailedError(BrokerError, ConnectionError):
    """The broker cannot be reached, or an address is in use."""


class AddressError(ConnectionFailedError):
    """What is given as the address of a broker cannot be one."""


class RequestTimeoutError(BrokerError, TimeoutError):
    """A service did not answer in time."""


class SettingsFileError(BrokerError, ValueError):
    """A node's settings file that cannot be read."""


class ServiceError(BrokerError):
    """A service answered with an error."""


class ServiceUnavailableError(ServiceError):
    """Nobody serves what was asked for, at least for now."""


class LockstepError(BrokerError):
    """Lock-step cannot go on: members are missing past the deadline."""


def brief(value: object) -> str:
    """Return a value from a peer as text for an error: short, however long it is or deeply nested."""
    return _BRIEF.repr(value)[:_LONGEST]
