"""Messages between processes: topics, wire format, lock-step, transports, the broker process."""

from broker.node import Node
from broker.services import Service

__all__ = ["Node", "Service"]
