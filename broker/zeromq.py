"""ZeroMQ: the transport of a node, and the broker process. The only module that imports zmq.

Facts of libzmq 4.3 that this rests on:
- A publisher's XPUB hears the broker's `subscribe to everything` once its connection is in force.
- Subscriptions travel in order, so an echo on a topic subscribed last proves those before it.
- A PUB drops at its high-water mark; XPUB with XPUB_NODROP waits instead. Nodes wait for the broker; the
  broker drops for a subscriber that is far behind, so that one that has stopped does not stop the others.
- SUB and PUB in libzmq's own proxy filter and forward like XSUB and XPUB, but do not pass every
  subscription of every subscriber on to every publisher.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator, Sequence

import zmq

from broker.address import endpoints, numeric, reachable, refuse_live_file, unreachable
from broker.errors import ConnectionFailedError, FrameError
from broker.letters import PRIVATE, Letter, letter_topic, unpack
from broker.strict import MAX_FRAME
from broker.switchboard import Outcome, Switchboard
from broker.transport import Arrived

_LOG = logging.getLogger("broker.zeromq")
_QUEUE = 20_000  # messages per connection and direction
_BEHIND = 5_000  # messages that the broker holds for each subscriber; more than a window of `bag.flow`
_SEND_S = 5.0  # a publisher waits so long for room in its queue
_LONGEST_S = 86_400.0  # one wait: libzmq counts ms in 32 bits; `receive` looks again if it may wait longer
_LINGER_MS = 500  # what has not left so long after close is dropped
_ECHO_S = 0.02  # first interval between echoes
_BATCH = 1_000  # messages taken at one look
_TICK_MS = 250  # the broker looks at leases at least so often
_POLLIN, _EVENTS, _RCVMORE, _SNDMORE = int(zmq.POLLIN), int(zmq.EVENTS), int(zmq.RCVMORE), int(zmq.SNDMORE)
_WELCOME = b"\x01"  # subscribe to everything
_WAKE = PRIVATE + b"wake\0"
_BELL = "inproc://bell"


def _tuned(sock: zmq.Socket[bytes], address: str, to_send: int = _QUEUE) -> zmq.Socket[bytes]:
    sock.setsockopt(zmq.LINGER, _LINGER_MS)
    sock.setsockopt(zmq.SNDHWM, to_send)
    sock.setsockopt(zmq.RCVHWM, _QUEUE)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    sock.setsockopt(zmq.HANDSHAKE_IVL, 5_000)
    sock.setsockopt(zmq.RECONNECT_IVL, 50)
    sock.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    if address.startswith("tcp://"):
        sock.setsockopt(zmq.HEARTBEAT_IVL, 2_000)
        sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6_000)
    return sock


class ZeroMqTransport:
    """One node's connection to the broker process at an address.

    Everything that a node waits for comes through its one SUB, letters too (on a topic of its own), so that
    waiting is one blocking call.
    """

    def __init__(self, address: str, node: str, incarnation: int) -> None:
        """Start connecting; libzmq keeps trying and comes back after the broker does.

        Raises:
            ConnectionFailedError: if the address is none to connect to.
        """
        self.route = f"{node}:{incarnation}".encode()
        self._address = address
        ends = reachable(address)
        self._context = zmq.Context()
        self._publisher = self._socket(zmq.XPUB)
        self._publisher.setsockopt(zmq.XPUB_NODROP, 1)
        self._publisher.setsockopt(zmq.SNDTIMEO, int(_SEND_S * 1000))
        self._publisher.connect(ends.ingress)
        self._subscriber = self._socket(zmq.SUB)
        self._subscriber.connect(ends.egress)
        self._patience_ms = -1  # RCVTIMEO of the subscriber
        self._letters = self._socket(zmq.DEALER)
        self._letters.setsockopt(zmq.ROUTING_ID, self.route)
        self._letters.connect(ends.letters)
        self._letter_topic = letter_topic(self.route)
        self.subscribe(self._letter_topic)
        self._requests = self._socket(zmq.DEALER)
        self._requests.connect(ends.letters)
        self._requests_lock = threading.Lock()
        self._bell, self._bell_lock = self._hung_bell(), threading.RLock()
        self._early: list[list[bytes]] = []  # messages that came before the echo did
        self._echoes = 0
        self._joined = self._woken = False

    def subscribe(self, topic: bytes) -> None:
        """Ask for a topic; in force when `join` has returned."""
        self._subscriber.setsockopt(zmq.SUBSCRIBE, topic)

    def join(self, timeout_s: float) -> None:
        """Return when publishing and all subscriptions so far are in force.

        Raises:
            ConnectionFailedError: if the broker does not answer within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while not self._joined and self._publisher.poll(_ms(deadline - time.monotonic())):
            self._joined = self._publisher.recv() == _WELCOME
        if not (self._joined and self._echo(deadline)):
            raise ConnectionFailedError(unreachable(self._address, timeout_s))

    def publish(self, frames: Sequence[bytes]) -> bool:
        """Send a message; False if there was no room for it within 5 s."""
        try:
            _send(self._publisher, frames)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_s: float) -> Arrived:
        """Return all that has arrived, waiting at most `timeout_s` if nothing has."""
        arrived = Arrived([], [], [])
        early, self._early = self._early, []
        for frames in early:
            self._sort(frames, arrived)
        deadline = time.monotonic() + timeout_s
        while True:
            self._look(0.0 if early else timeout_s, arrived)
            timeout_s = deadline - time.monotonic()
            if any(arrived) or self._woken or timeout_s <= 0:
                self._woken = False
                return arrived

    def post(self, letter: Letter) -> None:
        """Send a letter to the broker."""
        self._letters.send_multipart(letter.packed())

    def request(self, letter: Letter, timeout_s: float) -> Letter:
        """Send a letter and return the broker's answer; callable from any thread.

        Raises:
            ConnectionFailedError: if no answer comes within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with self._requests_lock:
            self._requests.send_multipart(letter.packed())
            while self._requests.poll(_ms(deadline - time.monotonic())):
                answer = unpack(self._requests.recv_multipart())
                if answer.id == letter.id:
                    return answer
        raise ConnectionFailedError(unreachable(self._address, timeout_s))

    def wake(self) -> None:
        """Make a waiting `receive` return."""
        with self._bell_lock, contextlib.suppress(zmq.ZMQError):  # closed meanwhile
            self._bell.send(_WAKE)

    def close(self) -> None:
        """Close the connections; what has not left within half a second is dropped."""
        with self._requests_lock, self._bell_lock:
            if not self._context.closed:
                self._context.destroy(linger=_LINGER_MS)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        return _tuned(self._context.socket(kind), self._address)

    def _hung_bell(self) -> zmq.Socket[bytes]:
        """Return a publisher that the subscriber hears, for `wake`."""
        bell = self._context.socket(zmq.XPUB)
        bell.bind(_BELL)
        self.subscribe(_WAKE)
        self._subscriber.connect(_BELL)
        while bell.recv() != b"\x01" + _WAKE:
            pass
        return bell

    def _look(self, timeout_s: float, arrived: Arrived) -> None:
        patience_ms = _ms(timeout_s)
        if patience_ms != self._patience_ms:
            self._patience_ms = patience_ms
            self._subscriber.setsockopt(zmq.RCVTIMEO, patience_ms)
        try:
            for frames in _messages(self._subscriber):
                if frames[0].startswith(PRIVATE):
                    self._sort(frames, arrived)
                else:
                    arrived.publications.append(frames)
        except zmq.Again:
            pass

    def _sort(self, frames: list[bytes], arrived: Arrived) -> None:
        topic = frames[0]
        if not topic.startswith(PRIVATE):
            arrived.publications.append(frames)
        elif topic == self._letter_topic:
            try:
                arrived.letters.append(unpack(frames[1:]))
            except FrameError as error:  # anybody can publish here
                arrived.refused.append(error)
            with contextlib.suppress(zmq.Again):  # probes, which ask nothing
                while True:
                    self._letters.recv_multipart(zmq.NOBLOCK)
        elif topic == _WAKE:
            self._woken = True

    def _echo(self, deadline: float) -> bool:
        self._echoes += 1
        topic = PRIVATE + b"echo/%s/%d\0" % (self.route, self._echoes)
        self.subscribe(topic)
        interval = _ECHO_S
        while time.monotonic() < deadline:
            self.publish([topic])
            until = min(deadline, time.monotonic() + interval)
            interval = min(2 * interval, 0.5)
            if self._subscriber.poll(_ms(until - time.monotonic())):
                self._early += _messages(self._subscriber)
            if any(frames[0] == topic for frames in self._early):
                self._subscriber.setsockopt(zmq.UNSUBSCRIBE, topic)
                self._early = [frames for frames in self._early if frames[0] != topic]
                return True
        return False


class ZeroMqBroker:
    """The broker process: topics through libzmq's proxy in a thread, letters in `run`."""

    def __init__(self, address: str) -> None:
        """Listen at an address.

        Raises:
            ConnectionFailedError: if the address is in use or cannot be listened at.
        """
        ends = endpoints(address)
        self._address = address
        self._context = zmq.Context()
        self._ingress = self._bound(zmq.SUB, ends.ingress)
        self._egress = self._bound(zmq.PUB, ends.egress, _BEHIND)
        self._router = self._bound(zmq.ROUTER, ends.letters)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._ingress.setsockopt(zmq.SUBSCRIBE, b"")
        inside = f"inproc://{secrets.token_hex(8)}"
        self._ingress.bind(inside)
        self._publisher = _tuned(self._context.socket(zmq.PUB), address)
        self._publisher.connect(inside)
        self._switchboard = Switchboard(time.time_ns(), self._reaches)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until `stop`."""
        forwarding = threading.Thread(target=self._forward, name="forwarding")
        forwarding.start()
        _LOG.info("broker listens at %s", self._address)
        try:
            while not self._stopping.is_set():
                self._carry_out(self._switchboard.expire(time.monotonic()))
                if self._router.poll(_TICK_MS):
                    for route, *frames in _drain(self._router):
                        self._carry_out(self._switchboard.handle(route, frames, time.monotonic()))
        finally:
            for sock in (self._router, self._publisher):
                sock.close(linger=0)
            self._context.term()
            forwarding.join()

    def stop(self) -> None:
        """Make `run` return; callable from any thread and from signal handlers."""
        self._stopping.set()

    def _bound(self, kind: int, endpoint: str, to_send: int = _QUEUE) -> zmq.Socket[bytes]:
        sock = _tuned(self._context.socket(kind), self._address, to_send)
        try:
            refuse_live_file(endpoint)
            sock.bind(numeric(endpoint))
        except (zmq.ZMQError, OSError) as error:
            self._context.destroy(linger=0)
            msg = f"broker cannot listen at {endpoint}: {error}; free it, or choose another address"
            raise ConnectionFailedError(msg) from error
        return sock

    def _forward(self) -> None:
        try:
            with contextlib.suppress(zmq.ContextTerminated):
                zmq.proxy(self._ingress, self._egress)
        finally:
            self._ingress.close(linger=0)
            self._egress.close(linger=0)

    def _carry_out(self, outcome: Outcome) -> None:
        for frames in outcome.publications:
            _send(self._publisher, frames)
        for route, letter in outcome.letters:
            if letter.operation in ("done", "refused"):
                self._delivers(route, letter)
            elif self._reaches(route):
                _send(self._publisher, [letter_topic(route), *letter.packed()])
            else:
                self._carry_out(self._switchboard.undeliverable(route, letter))

    def _reaches(self, route: bytes) -> bool:
        return self._delivers(route, Letter("probe", 0, {}))

    def _delivers(self, route: bytes, letter: Letter) -> bool:
        try:
            self._router.send_multipart([route, *letter.packed()], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # no such route, or its queue is full
            _LOG.debug("%s to %r cannot be delivered: %s", letter.operation, route, error)
            return False
        return True


def _send(sock: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """Send a message; topic and header are one frame, because each frame costs at every hop."""
    send = super(zmq.Socket, sock).send  # without the Python layer above it
    first = b"".join(frames[:2])
    for frame in frames[2:]:
        send(first, _SNDMORE)
        first = frame
    send(first)


def _messages(sock: zmq.Socket[bytes]) -> Iterator[list[bytes]]:
    """Yield the messages that wait, topic and header apart again; Again if there is none in time."""
    recv, ask = sock.recv, sock.getsockopt
    for _ in range(_BATCH):
        topic, nul, header = recv().partition(b"\0")
        frames = [topic + nul, header]
        while ask(_RCVMORE):
            frames.append(recv())
        yield frames
        if not ask(_EVENTS) & _POLLIN:  # type: ignore[operator]
            return


def _drain(sock: zmq.Socket[bytes]) -> list[list[bytes]]:
    taken: list[list[bytes]] = []
    with contextlib.suppress(zmq.Again):
        while len(taken) < _BATCH:
            taken.append(sock.recv_multipart(zmq.NOBLOCK))
    return taken


def _ms(seconds: float) -> int:
    return max(0, math.ceil(min(_LONGEST_S, seconds) * 1000))
