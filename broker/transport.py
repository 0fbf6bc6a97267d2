"""The seam between a node and what carries its bytes; `zeromq` and `memory` are its implementations.

A transport knows topics as wire bytes, messages as frames, and letters; it never looks into a message.
All but `request` and `wake` belong to the thread of the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from broker.address import is_memory
from broker.errors import FrameError
from broker.letters import Letter

EVERYTHING = b"/"  # subscribing to it means every topic


class Arrived(NamedTuple):
    """What has come since the last look."""

    publications: list[list[bytes]]
    letters: list[Letter]
    refused: list[FrameError]  # what came in the place of letters, and is none


class Transport(Protocol):
    """One node's connection to the bus."""

    route: bytes  # where the broker sends letters for this node

    def subscribe(self, topic: bytes) -> None:
        """Ask for a topic, or for EVERYTHING; in force when `join` has returned."""
        ...

    def join(self, timeout_s: float) -> None:
        """Return when publishing and all subscriptions so far are in force.

        Raises:
            ConnectionFailedError: if they are not after `timeout_s`.
        """
        ...

    def publish(self, frames: Sequence[bytes]) -> bool:
        """Send a message to the subscribers of its first frame; False if it could not leave."""
        ...

    def receive(self, timeout_s: float) -> Arrived:
        """Return all that has arrived, waiting at most `timeout_s` if nothing has."""
        ...

    def post(self, letter: Letter) -> None:
        """Send a letter to the broker; answers arrive through `receive`."""
        ...

    def request(self, letter: Letter, timeout_s: float) -> Letter:
        """Send a letter and return the broker's answer; callable from any thread.

        Raises:
            ConnectionFailedError: if no answer comes within `timeout_s`.
        """
        ...

    def wake(self) -> None:
        """Make a waiting `receive` return; callable from any thread and from signal handlers."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


def connect(address: str, node: str, incarnation: int) -> Transport:
    """Return a transport to the broker at an address; it need not be running yet.

    Args:
        address: `tcp://host:port`, `ipc:///path` or `memory://name`.
        node: name of the node.
        incarnation: which life of the node.

    Raises:
        ConnectionFailedError: if the address is none of these.
    """
    if is_memory(address):
        from broker.memory import MemoryTransport

        return MemoryTransport(address, node, incarnation)
    from broker.zeromq import ZeroMqTransport

    return ZeroMqTransport(address, node, incarnation)
