"""A guest on the bus: it asks the broker and listens, but registers nothing, so that no node sees it.

It has no lease, publishes nothing and takes no part in lock-step. Only those whom it asks something have
work with it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast

from broker.calls import CallDesk
from broker.letters import Letter
from broker.messages import RegistryReply, RegistryRequest
from broker.services import INFO, NODES, SERVICES, TOPICS, Service
from broker.topics import to_wire
from broker.transport import connect

_LOG = logging.getLogger("launch.introspection")
ANSWER_S = 5.0  # how long the broker may take
Request = TypeVar("Request")
Response = TypeVar("Response")


class Arrival(NamedTuple):
    """A message as it came, undecoded."""

    frames: list[bytes]
    wall_ns: int  # own clock when it was taken in, ns since 1970
    latched: bool = False  # it is the topic's last value, not news


class Observer:
    """One connection to a broker."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: of a broker.

        Raises:
            ConnectionFailedError: if no broker answers there.
        """
        self.name = f"cli-{os.getpid()}"
        self.address = address
        incarnation = time.time_ns()
        self._transport = connect(address, self.name, incarnation)
        self._desk = CallDesk(self.name, incarnation, self._transport.post, self._pump)
        self._arrivals: deque[Arrival] = deque()
        try:
            self._transport.join(ANSWER_S)
        except BaseException:
            self._transport.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def call(
        self, service: Service[Request, Response], request: Request, timeout_s: float = ANSWER_S
    ) -> Response:
        """Ask a service and wait for its answer; raises what `broker.calls.Client.call` does."""
        return self._desk.call(service, request, timeout_s)

    def broker(self) -> dict[str, Any]:
        """Return what the broker says of itself."""
        return cast("dict[str, Any]", self._records(INFO)["broker"])

    def nodes(self) -> dict[str, Any]:
        """Return the record of every node."""
        return self._records(NODES)

    def topics(self) -> dict[str, Any]:
        """Return the record of every topic."""
        return self._records(TOPICS)

    def services(self) -> dict[str, Any]:
        """Return the record of every service."""
        return dict(sorted(self._records(SERVICES).items()))

    def listen(self, topic: str) -> None:
        """Subscribe; the topic's last value comes first if it is latched.

        Raises:
            ConnectionFailedError: if the broker does not answer.
        """
        self._transport.subscribe(to_wire(topic))
        self._transport.join(ANSWER_S)
        body = {"node": self.name, "incarnation": 0, "topics": [topic]}
        answer = self._transport.request(Letter("latched", 1, body), ANSWER_S)
        frames = list(answer.frames)
        for size in answer.body["sizes"]:
            self._arrivals.append(Arrival(frames[:size], time.time_ns(), latched=True))
            del frames[:size]

    def take(self, timeout_s: float) -> Iterator[Arrival]:
        """Wait for at most `timeout_s`, then yield what has arrived."""
        if not self._arrivals:
            self._pump(max(0.0, timeout_s))
        while self._arrivals:
            yield self._arrivals.popleft()

    def _pump(self, timeout_s: float) -> bool:
        arrived = self._transport.receive(timeout_s)
        now_ns = time.time_ns()
        self._arrivals.extend(Arrival(frames, now_ns) for frames in arrived.publications)
        for letter in arrived.letters:
            self._desk.arrived(letter)
        for error in arrived.refused:
            _LOG.warning("refused a message: %s", error)
        return True

    def _records(self, service: Service[RegistryRequest, RegistryReply]) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.call(service, RegistryRequest()).records))
