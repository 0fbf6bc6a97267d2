"""Flow control for playing as fast as possible: nobody is sent more than it can hold.

The broker drops for a subscriber that is too many messages behind. So after each window of messages every
consumer is asked something: the question travels behind the messages in the consumer's own queue, and when
the answer is back they have been taken in.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from broker import Node
from broker.errors import BrokerError, RequestTimeoutError
from broker.messages import ParametersRequest, RegistryRequest
from broker.registry import EVERY_TOPIC
from broker.services import NODES, parameters_of

WINDOW = 4000  # messages; fewer than the broker holds for a subscriber
_PATIENCE_S = 5.0


def consumers(node: Node, topics: Collection[str]) -> list[str]:
    """Return the other nodes that take one of some topics."""
    records = json.loads(node.client(NODES).call(RegistryRequest(), _PATIENCE_S).records)
    wanted = {*topics, EVERY_TOPIC}
    return [
        name for name, record in records.items() if name != node.name and wanted & set(record["subscribes"])
    ]


def settle(node: Node, topics: Collection[str]) -> None:
    """Return when all that was published on some topics has been taken in by those who take it."""
    node.flush()
    for name in consumers(node, topics):
        _await_answer(node, name)


def _await_answer(node: Node, name: str) -> None:
    while node.ok():
        try:
            node.client(parameters_of(name)).call(ParametersRequest("list"), _PATIENCE_S)
        except RequestTimeoutError:  # busy; it is gone when its lease is
            node.log("warning", f"waits for {name} to take in what was sent")
        except BrokerError:
            return
        else:
            return
