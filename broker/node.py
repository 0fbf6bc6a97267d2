"""A node: a process (or thread) on the bus, and all that it sees of the bus."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from broker import topics
from broker.calls import CallDesk, Client
from broker.endpoints import Counters, Publisher, Subscription
from broker.errors import BrokerError, FrameError, TopicError
from broker.membership import Membership
from broker.messages import LogRecord, NodeStatus, RegistryRequest
from broker.parameters import Parameters
from broker.registry import RENEWAL_S
from broker.services import TOPICS, Service, parameters_of
from broker.transport import EVERYTHING, connect

Message = TypeVar("Message")
Request = TypeVar("Request")
Response = TypeVar("Response")

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_REPORT_S = 1.0  # a sender of malformed messages is reported so often
_MOST = 2**63 - 1  # that travels; a peer may write any sequence numbers, and so make any gaps


class Node:
    """One member of an ensemble.

    A node belongs to the thread that made it; `stop` and `ok` may be called from any thread and from
    signal handlers. Its lease is renewed by a thread of its own.
    """

    def __init__(self, name: str, address: str) -> None:
        """Start connecting; `ready` waits until that is done.

        Args:
            name: unique on this bus.
            address: of the broker: `tcp://host:port`, `ipc:///path`, or `memory://name` for threads.

        Raises:
            TopicError: if the name is none.
            ConnectionFailedError: if the address is none.
        """
        self.name = topics.check_node(name)
        self.address = address
        self.counters = Counters()
        self.parameters = Parameters(name)
        self._incarnation = time.time_ns()
        self._transport = connect(address, name, self._incarnation)
        self._status = NodeStatus("starting", 0, 0, 0, 0, 0)
        self._membership = Membership(
            name, self._incarnation, self._transport, self._report, self.stop, self.counters
        )
        self._subscriptions: dict[bytes, Subscription[Any]] = {}
        self._taps: list[Callable[[Sequence[bytes]], None]] = []
        self._published: set[str] = set()
        self._desk = CallDesk(name, self._incarnation, self._transport.post, self._pump)
        self._logger = logging.getLogger(f"node.{name}")
        self._reported: dict[str, float] = {}  # sender of malformed messages -> when reported
        self._news = False  # something came during a call
        self._stopped = False
        self._in_use = threading.RLock()  # held by `spin`
        self._depth = 0
        self._close_wanted = self._closed = False
        self._failed = False
        self._log = self.publisher(topics.LOG, LogRecord)
        self.server(parameters_of(name), self.parameters.answer)

    def publisher(
        self, topic: str, message_type: type[Message], *, latched: bool = False
    ) -> Publisher[Message]:
        """Declare a topic that this node publishes.

        Args:
            topic: its name.
            message_type: one of `broker.messages`.
            latched: whether the last message is kept for those who join later.

        Raises:
            TopicError: if the topic is none, or this node publishes it already.
        """
        topics.check_topic(topic)
        if topic in self._published:
            msg = f"topic {topic}: node {self.name} has a publisher for it already; use that one"
            raise TopicError(msg)
        self._published.add(topic)
        self._membership.publishes(topic, message_type, latched=latched)
        send = self._latch if latched else self._send
        return Publisher(topic, message_type, self.name, self._incarnation, send)

    def subscription(
        self, topic: str, message_type: type[Message], keep: int = 1000
    ) -> Subscription[Message]:
        """Declare a topic that this node takes; in force once `ready` has returned.

        Args:
            topic: its name.
            message_type: the only type that is accepted.
            keep: how many messages wait at most; the oldest go first.

        Raises:
            TopicError: if the topic is none, or this node takes it already.
        """
        subscription = Subscription(topics.check_topic(topic), message_type, keep, self.counters)
        if subscription.wire in self._subscriptions:
            msg = f"topic {topic}: node {self.name} has a subscription to it already; use that one"
            raise TopicError(msg)
        self._subscriptions[subscription.wire] = subscription
        self._membership.subscribes(topic, message_type)
        self._transport.subscribe(subscription.wire)
        return subscription

    def tap(self, take: Callable[[Sequence[bytes]], None]) -> None:
        """Take every message on the bus as it travels, undecoded; in force once `ready` has returned.

        Args:
            take: called with the frames of each message, its topic first; must not call this node.
        """
        self._taps.append(take)
        self._membership.taps()
        self._transport.subscribe(EVERYTHING)

    def relay(self, frames: Sequence[bytes], *, latched: bool = False) -> None:
        """Send a message as it once travelled: its sender, sequence number and stamps stay.

        Args:
            frames: as a tap took them.
            latched: whether it is kept for those who join later; its topic must be one of this node's.
        """
        if latched:
            self._latch(list(frames))
        else:
            self._send(list(frames))

    def client(self, service: Service[Request, Response]) -> Client[Request, Response]:
        """Return what calls a service."""
        return Client(service, self._desk)

    def server(self, service: Service[Request, Response], handler: Callable[[Request], Response]) -> None:
        """Serve a service: `spin` calls `handler(request)`; what it raises goes to the caller.

        Raises:
            TopicError: if this node serves it already.
        """
        self._desk.add_server(service, handler)
        self._membership.serves(service.name, service.request_type, service.response_type)

    def ready(self, timeout_s: float = 10.0, *, takeover: bool = False) -> None:
        """Return when this node is a member: subscriptions in force, registered, latched values here.

        Call it again after declaring more topics or services.

        Args:
            timeout_s: how long to wait for the broker, s.
            takeover: whether to replace a node of the same name that is still registered.

        Raises:
            ConnectionFailedError: if the broker does not answer in time.
            TopicError: if the name is in use, or a topic or service contradicts another node's.
        """
        deadline = time.monotonic() + timeout_s
        self._transport.join(timeout_s)
        self._membership.register(_left(deadline), takeover=takeover)
        self._fetch_latched(_left(deadline))
        if self._status.state == "starting":
            self.set_status("ready")

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return when all that this node has published has passed the broker.

        Raises:
            ConnectionFailedError: if it has not after `timeout_s`.
        """
        self._transport.join(timeout_s)

    def spin(self, timeout_s: float = 0.0) -> bool:
        """Wait for something, then handle all that has arrived: queue messages, serve requests.

        Args:
            timeout_s: how long to wait at most, s.

        Returns:
            Whether anything came (also during calls since the last spin).
        """
        news, self._news = self._news, False
        with self._in_use:
            self._depth += 1
            try:
                self._pump(0.0 if news else timeout_s)
                if self._desk.requests and not self._stopped:
                    self._desk.serve()
            finally:
                self._depth -= 1
        came, self._news = self._news or news, False
        if self._close_wanted:
            self.close()
        return came

    def set_status(self, state: str, tick: int = 0, note: str = "") -> None:
        """Say how far the node is; the next heartbeat carries it, a new state at once.

        Args:
            state: starting, ready, running, done or failed.
            tick: last tick seen.
            note: one line for people.
        """
        news = state != self._status.state
        self._status = NodeStatus(state, tick, 0, 0, 0, 0, note)
        if news:
            self._membership.beat()

    def log(self, level: str, text: str) -> None:
        """Publish a line on `/log`, and hand it to the logger `node.<name>`.

        Args:
            level: debug, info, warning or error.
            text: the line.
        """
        self._logger.log(_LEVELS[level], text)
        if not self._stopped:
            self._log.publish(LogRecord(level, text))

    def refuse(self, error: FrameError) -> None:
        """Count a message that is not taken, and report it, at most once a second per sender.

        Args:
            error: what is wrong with it, and who has sent it.
        """
        self.counters.refused += 1
        now_s = time.monotonic()
        if now_s - self._reported.get(error.sender, -_REPORT_S) >= _REPORT_S:
            self._reported[error.sender] = now_s
            self.log("warning", f"refused a message ({self.counters.refused} so far): {error}")

    def ok(self) -> bool:
        """Say whether the node goes on; False after `stop` or `close`."""
        return not self._stopped

    def stop(self) -> None:
        """Make `spin` and calls return, and `ok` False."""
        self._stopped = True
        self._transport.wake()

    def close(self) -> None:
        """Leave the bus: at once, or when the `spin` in progress has returned."""
        self.stop()
        with self._in_use:
            self._close_wanted = self._depth > 0  # called by a handler of `spin`
            if not self._close_wanted and not self._closed:
                self._closed = True
                self._membership.leave(failed=self._failed)
                self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = kind is not None and issubclass(kind, Exception)
        self.close()

    def _pump(self, timeout_s: float) -> bool:
        """Take in what arrives; False once stopped."""
        with self._in_use:
            if self._stopped:
                return False
            arrived = self._transport.receive(timeout_s)
        for frames in arrived.publications:
            self._accept(frames)
        for letter in arrived.letters:
            self._desk.arrived(letter)
        for error in arrived.refused:
            self.refuse(error)
        if arrived.publications or arrived.letters:
            self._news = True
        if self._membership.rejoined:
            self._rejoin()
        return not self._stopped

    def _accept(self, frames: Sequence[bytes]) -> None:
        for take in self._taps:
            take(frames)
        subscription = self._subscriptions.get(frames[0])
        if subscription is None:
            return
        try:
            subscription.accept(frames)
        except FrameError as error:
            self.refuse(error)

    def _send(self, frames: list[bytes]) -> None:
        if self._transport.publish(frames):
            self.counters.sent += 1
        else:
            self.counters.unsent += 1
            self._logger.warning("no room to send on %r: is the broker up?", frames[0])

    def _latch(self, frames: list[bytes]) -> None:
        self._membership.latch(frames[0][:-1].decode(), frames)
        self.counters.sent += 1

    def _fetch_latched(self, timeout_s: float) -> None:
        wanted = [subscription.topic for subscription in self._subscriptions.values()]
        if self._taps:
            reply = self.client(TOPICS).call(RegistryRequest(), timeout_s)
            known = json.loads(reply.records)
            wanted = [*dict.fromkeys([*wanted, *(topic for topic in known if known[topic]["latched"])])]
        for frames in self._membership.latched(wanted, timeout_s) if wanted else ():
            self._accept(frames)
            self._news = True

    def _rejoin(self) -> None:
        """After a restart of the broker: be sure of the subscriptions, and of the newest latched values."""
        self._membership.rejoined = False
        try:
            self._transport.join(RENEWAL_S)
            self._fetch_latched(RENEWAL_S)
        except BrokerError as error:
            self._logger.warning("the broker is back, but not wholly: %s", error)
            self._membership.rejoined = True

    def _report(self) -> NodeStatus:
        """Return the status of now; called by the lease thread."""
        status, counters = self._status, self.counters
        return NodeStatus(
            status.state,
            status.tick,
            counters.received,
            counters.sent,
            min(counters.lost, _MOST),
            counters.refused,
            status.note,
        )


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())
