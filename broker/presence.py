"""Waiting for other nodes to be there."""

from __future__ import annotations

import json
import time
from collections.abc import Collection

from broker.errors import BrokerError
from broker.messages import RegistryRequest
from broker.node import Node
from broker.services import NODES

_PATIENCE_S = 60.0
_ASK_S = 0.05


def await_nodes(node: Node, names: Collection[str], timeout_s: float = _PATIENCE_S) -> list[str]:
    """Return when some nodes are on the bus: registered, so that their subscriptions are in force.

    Args:
        node: who asks; its services are served meanwhile.
        names: of the nodes.
        timeout_s: how long to wait at most, s.

    Returns:
        The names of those that have not come.
    """
    until = time.monotonic() + timeout_s
    missing = list(names)
    while missing and node.ok() and time.monotonic() < until:
        there = present(node)
        missing = [name for name in missing if name not in there]
        if missing:
            node.spin(_ASK_S)
    return missing


def present(node: Node) -> set[str]:
    """Return the names of all nodes on the bus, none if the broker does not answer."""
    try:
        return set(json.loads(node.client(NODES).call(RegistryRequest(), timeout_s=5.0).records))
    except BrokerError:
        return set()
