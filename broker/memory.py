"""Transport between the threads of one process: the broker is an object under a lock.

The hub of an address comes with its first node and goes with its last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Condition, RLock
from typing import ClassVar

from broker.errors import ConnectionFailedError
from broker.letters import Letter, unpack
from broker.switchboard import Outcome, Switchboard
from broker.transport import EVERYTHING, Arrived

_MAX_WAITING = 100_000  # messages that wait for one node; more are dropped, as by a broker


class _Inbox:
    """What waits for one node."""

    def __init__(self) -> None:
        self.publications: deque[list[bytes]] = deque(maxlen=_MAX_WAITING)
        self.letters: deque[Letter] = deque()
        self.woken = False
        self._changed = Condition()

    def put(self, frames: Sequence[bytes]) -> None:
        with self._changed:
            self.publications.append(list(frames))
            self._changed.notify()

    def put_letter(self, letter: Letter) -> None:
        with self._changed:
            self.letters.append(letter)
            self._changed.notify()

    def wake(self) -> None:
        # No lock: a signal handler may run in the thread that holds it. A waiter looks every 50 ms.
        self.woken = True

    def take(self, timeout_s: float) -> Arrived:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self.publications or self.letters or self.woken):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.05))
            self.woken = False
            arrived = Arrived(list(self.publications), list(self.letters), [])
            self.publications.clear()
            self.letters.clear()
            return arrived


class _Hub:
    """The broker of one `memory://` address."""

    _hubs: ClassVar[dict[str, _Hub]] = {}
    _hubs_lock: ClassVar[RLock] = RLock()

    def __init__(self) -> None:
        self.lock = RLock()
        self.inboxes: dict[bytes, _Inbox] = {}
        self._subscribers: dict[bytes, list[_Inbox]] = {}
        self._switchboard = Switchboard(time.time_ns(), self.inboxes.__contains__)

    @classmethod
    def enter(cls, address: str, route: bytes) -> tuple[_Hub, _Inbox]:
        with cls._hubs_lock:
            hub = cls._hubs.setdefault(address, cls())
            inbox = hub.inboxes[route] = _Inbox()
            return hub, inbox

    @classmethod
    def leave(cls, address: str, route: bytes) -> None:
        with cls._hubs_lock:
            hub = cls._hubs[address]
            with hub.lock:
                inbox = hub.inboxes.pop(route)
                hub._subscribers = {  # noqa: SLF001 - of this class
                    topic: [other for other in inboxes if other is not inbox]
                    for topic, inboxes in hub._subscribers.items()  # noqa: SLF001
                }
            if not hub.inboxes:
                del cls._hubs[address]

    def subscribe(self, topic: bytes, inbox: _Inbox) -> None:
        with self.lock:
            inboxes = self._subscribers.setdefault(topic, [])
            if inbox not in inboxes:
                inboxes.append(inbox)

    def publish(self, frames: Sequence[bytes]) -> None:
        with self.lock:
            everything = self._subscribers.get(EVERYTHING, ())
            for inbox in everything:
                inbox.put(frames)
            for inbox in self._subscribers.get(frames[0], ()):
                if inbox not in everything:
                    inbox.put(frames)

    def handle(self, route: bytes, letter: Letter) -> Letter | None:
        """Do what a letter asks; return the letter that goes back to `route`, if it comes at once."""
        with self.lock:
            now_s = time.monotonic()
            self._deliver(self._switchboard.expire(now_s))
            outcome = self._switchboard.handle(route, letter.packed(), now_s)
            direct = [
                out for to, out in outcome.letters if to == route and out.operation in ("done", "refused")
            ]
            outcome.letters = [(to, out) for to, out in outcome.letters if out not in direct]
            self._deliver(outcome)
            return direct[0] if direct else None

    def _deliver(self, outcome: Outcome) -> None:
        for frames in outcome.publications:
            self.publish(frames)
        for route, letter in outcome.letters:
            inbox = self.inboxes.get(route)
            if inbox is None:
                self._deliver(self._switchboard.undeliverable(route, letter))
            else:
                inbox.put_letter(unpack(letter.packed()))


class MemoryTransport:
    """One node's connection to the hub of its address."""

    def __init__(self, address: str, node: str, incarnation: int) -> None:
        """Enter the hub, making it if this is its first node."""
        self.route = f"{node}:{incarnation}".encode()
        self._address = address
        self._hub, self._inbox = _Hub.enter(address, self.route)
        self._closed = False

    def subscribe(self, topic: bytes) -> None:
        """Ask for a topic; in force at once."""
        self._hub.subscribe(topic, self._inbox)

    def join(self, timeout_s: float) -> None:
        """Return at once."""

    def publish(self, frames: Sequence[bytes]) -> bool:
        """Hand a message to its subscribers."""
        self._hub.publish(frames)
        return True

    def receive(self, timeout_s: float) -> Arrived:
        """Return all that has arrived."""
        return self._inbox.take(timeout_s)

    def post(self, letter: Letter) -> None:
        """Send a letter to the hub."""
        answer = self._hub.handle(self.route, letter)
        if answer is not None:
            self._inbox.put_letter(answer)

    def request(self, letter: Letter, timeout_s: float) -> Letter:
        """Send a letter and return the hub's answer."""
        answer = self._hub.handle(self.route, letter)
        if answer is None:
            msg = f"broker {self._address}: no answer to {letter.operation!r} after {timeout_s:g} s"
            raise ConnectionFailedError(msg)
        return answer

    def wake(self) -> None:
        """Make a waiting `receive` return within 50 ms."""
        self._inbox.wake()

    def close(self) -> None:
        """Leave the hub."""
        if not self._closed:
            self._closed = True
            _Hub.leave(self._address, self.route)
