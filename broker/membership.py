"""A node's membership of the bus: registration, lease, latched values.

A small thread renews the lease, so that a node whose main thread is busy with learning stays a member, and
registers again by itself when the broker has been restarted.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from broker import codec, topics
from broker.endpoints import Counters
from broker.errors import BrokerError, ConnectionFailedError, TopicError
from broker.letters import Letter
from broker.messages import NodeStatus
from broker.registry import EVERY_TOPIC, RENEWAL_S
from broker.schema import schema_of
from broker.transport import Transport
from broker.version import VERSION
from broker.vitals import Vitals

_LOG = logging.getLogger("broker.membership")
_FAREWELL_S = 0.5
_PATIENCE_S = 2.0  # how long one request of the lease thread, or a latched value, waits for the broker


class Membership:
    """What the broker is told of one node, and kept told."""

    def __init__(
        self,
        node: str,
        incarnation: int,
        transport: Transport,
        status: Callable[[], NodeStatus],
        evicted: Callable[[], None],
        counters: Counters | None = None,
    ) -> None:
        """Prepare; nothing is sent before `register`.

        Args:
            node: its name.
            incarnation: which life of it.
            transport: how the broker is reached.
            status: called by the lease thread for each heartbeat.
            evicted: called by the lease thread when another process has taken the node's name.
            counters: of the node; what they say of lag and drops goes with each heartbeat.
        """
        self.rejoined = False  # the broker was restarted, and knows this node again
        self._node = node
        self._incarnation = incarnation
        self._transport = transport
        self._status = status
        self._evicted = evicted
        self._ids = itertools.count(1)
        self._beats = itertools.count()
        self._lock = threading.Lock()  # over what is declared and latched
        self._handing_over = threading.Lock()  # over reading and sending a latched value
        self._publishes: dict[str, tuple[str, str, bool]] = {}
        self._subscribes: dict[str, tuple[str, str]] = {}
        self._serves: dict[str, tuple[str, str]] = {}
        self._latched: dict[str, list[bytes]] = {}
        self._vitals = Vitals(counters or Counters())
        self._leaving = threading.Event()
        self._due = threading.Event()  # a heartbeat is wanted now
        self._thread: threading.Thread | None = None
        self.publishes(topics.status(node), NodeStatus, latched=False)

    def publishes(self, topic: str, message_type: type[Any], *, latched: bool) -> None:
        """Declare a topic that the node publishes."""
        schema = schema_of(message_type)
        with self._lock:
            self._publishes[topic] = (schema.name, schema.hash, latched)

    def subscribes(self, topic: str, message_type: type[Any]) -> None:
        """Declare a topic that the node takes."""
        schema = schema_of(message_type)
        with self._lock:
            self._subscribes[topic] = (schema.name, schema.hash)

    def taps(self) -> None:
        """Declare that the node takes every topic."""
        with self._lock:
            self._subscribes[EVERY_TOPIC] = ("*", "")

    def serves(self, service: str, request_type: type[Any], response_type: type[Any]) -> None:
        """Declare a service that the node serves."""
        with self._lock:
            self._serves[service] = (schema_of(request_type).name, schema_of(response_type).name)

    def register(self, timeout_s: float, *, takeover: bool = False) -> None:
        """Enter the registry, hand over latched values, and keep the lease from now on.

        Raises:
            TopicError: if the name is in use, or a declaration contradicts another node's.
            ConnectionFailedError: if the broker does not answer.
        """
        with self._lock:
            body: dict[str, Any] = {
                "publishes": dict(self._publishes),
                "subscribes": dict(self._subscribes),
                "serves": dict(self._serves),
                "version": VERSION,
            }
        body |= {"host": socket.gethostname(), "pid": os.getpid(), "route": self._transport.route}
        self._request("register", timeout_s, takeover=takeover, **body)
        with self._lock:
            latched = list(self._latched)
        for topic in latched:
            self._hand_over(topic, timeout_s)
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name=f"{self._node} lease", daemon=True)
            self._thread.start()

    def latch(self, topic: str, frames: list[bytes]) -> None:
        """Make a message the last value of its topic; the broker publishes it, now and to late joiners."""
        with self._lock:
            self._latched[topic] = frames
        if self._thread is None:
            return  # registration will hand it over
        try:
            self._hand_over(topic, _PATIENCE_S)
        except BrokerError as error:
            _LOG.warning("%s: %s is latched when the broker is back: %s", self._node, topic, error)

    def latched(self, wanted: Iterable[str], timeout_s: float) -> list[list[bytes]]:
        """Return the last values of the latched ones among some topics.

        Raises:
            ConnectionFailedError: if the broker does not answer.
        """
        answer = self._request("latched", timeout_s, topics=list(wanted))
        frames = iter(answer.frames)
        return [list(itertools.islice(frames, size)) for size in answer.body["sizes"]]

    def beat(self) -> None:
        """Let the next heartbeat come now: there is news that others wait for."""
        self._due.set()

    def leave(self, *, failed: bool = False) -> None:
        """Stop renewing, and tell the broker the last status and farewell, if it is there.

        Args:
            failed: whether an error ends the node; what it has latched then stays for its next life.
        """
        self._leaving.set()
        self._due.set()
        if self._thread is None:
            return
        self._thread.join()
        try:
            self._renew(_FAREWELL_S)
            self._request("leave", _FAREWELL_S, failed=failed)
        except BrokerError as error:
            _LOG.debug("%s left without a word: %s", self._node, error)

    def _hand_over(self, topic: str, timeout_s: float) -> None:
        """Send the newest value of a topic; the broker keeps what comes last, whichever thread sends it."""
        with self._handing_over:
            self._request("latch", timeout_s, self._latched[topic], topic=topic)

    def _request(self, operation: str, timeout_s: float, frames: Iterable[bytes] = (), **body: Any) -> Letter:
        fields = {"node": self._node, "incarnation": self._incarnation, **body}
        answer = self._transport.request(Letter(operation, next(self._ids), fields, list(frames)), timeout_s)
        if answer.operation == "refused":
            kind = TopicError if answer.body["kind"] == "name" else BrokerError
            raise kind(answer.body["error"])
        return answer

    def _keep(self) -> None:
        while not self._leaving.is_set():
            self._due.wait(RENEWAL_S)
            self._due.clear()
            if self._leaving.is_set():
                return
            try:
                if not self._renew(_PATIENCE_S):
                    self.register(_PATIENCE_S)
                    self.rejoined = True
                    self._transport.wake()
                    _LOG.info("%s: registered again after a restart of the broker", self._node)
            except ConnectionFailedError as error:
                _LOG.warning("%s: %s", self._node, error)
            except TopicError:
                _LOG.exception("%s: its place is taken, it stops", self._node)
                self._evicted()
                return
            except Exception:  # without this thread the node would be forgotten, and nobody would say why
                _LOG.exception("%s: heartbeat failed", self._node)

    def _renew(self, timeout_s: float) -> bool:
        status = self._status()
        topic = topics.status(self._node)
        frames = codec.encode(
            topic, status, sender=self._node, incarnation=self._incarnation, seq=next(self._beats)
        )
        sent_ns = time.time_ns()
        answer = self._request("lease", timeout_s, frames, status=vars(status), vitals=self._vitals.report())
        self._vitals.heard(sent_ns, answer.body.get("wall_ns"), time.time_ns())
        return answer.body["known"] is True
