"""What can be wrong with a bag."""

from __future__ import annotations

from broker.errors import BrokerError


class BagError(BrokerError, ValueError):
    """A bag that cannot be used as asked; the message names the file and the place in it."""


class ReplayError(BrokerError):
    """A replay that came out otherwise than the recorded run."""
