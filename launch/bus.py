"""The supervisor's own place on the bus: it hears what every node says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from broker import Node, topics
from broker.errors import BrokerError, ConnectionFailedError
from broker.messages import NodeStatus
from launch.errors import StartError
from launch.nodes import SUPERVISOR
from launch.program import Program


class Bus:
    """Subscriptions to the status of every node of a program."""

    def __init__(self, program: Program) -> None:
        try:
            self._node = Node(SUPERVISOR, program.address)
        except BrokerError as error:
            raise StartError(str(error)) from error
        self._subscriptions = {
            node.name: self._node.subscription(topics.status(node.name), NodeStatus, keep=10)
            for node in program.nodes
        }

    def join(self, timeout_s: float) -> bool:
        """Return whether the broker has taken this node in; call again until it has.

        Raises:
            StartError: the broker is there, but another supervisor is at work on it.
        """
        try:
            self._node.ready(timeout_s)
        except ConnectionFailedError:
            return False
        except BrokerError as error:
            raise StartError(str(error)) from error
        return True

    def statuses(self, timeout_s: float) -> Iterator[tuple[str, NodeStatus]]:
        """Listen for at most `timeout_s`, then yield node and status of all that came."""
        self._node.spin(timeout_s)
        for name, subscription in self._subscriptions.items():
            while (received := subscription.take()) is not None:
                yield name, received.message

    def close(self) -> None:
        """Leave the bus."""
        self._node.close()
