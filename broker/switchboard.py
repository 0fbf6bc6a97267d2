"""What the broker does with letters: leases, latched values, and services put through to their servers.

A state machine without I/O: letters in, letters and publications out. The ZeroMQ broker process and the
in-memory hub are two shells around it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker import codec, services
from broker.errors import BrokerError, FrameError, TopicError, brief
from broker.heartbeat import status_of, vitals_of
from broker.letters import Letter, unpack
from broker.messages import RegistryReply, RegistryRequest
from broker.registry import LEASE_S, Declaration, Registry
from broker.schema import VOCABULARY
from broker.topics import to_wire
from broker.version import VERSION

_LOG = logging.getLogger("broker.switchboard")
_NAME = "broker"
_MAX_CALLS = 100_000  # calls that wait for an answer; older ones are forgotten, their clients time out


@dataclass
class Outcome:
    """What a letter leads to."""

    letters: list[tuple[bytes, Letter]] = field(default_factory=list)  # route and letter
    publications: list[Sequence[bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class _Call:
    service: str
    node: str  # the server


class Switchboard:
    """The broker's side of all letters."""

    def __init__(self, instance: int, reaches: Callable[[bytes], bool]) -> None:
        """Start with nobody registered.

        Args:
            instance: differs between two lives of a broker, so that nodes notice a restart.
            reaches: whether a route still has a process at its end.
        """
        self.registry = Registry()
        self._instance = instance
        self._reaches = reaches
        self._refused = 0  # letters
        self._calls: dict[tuple[bytes, int], _Call] = {}  # (client's route, id) -> call
        self._operations: dict[str, Callable[[bytes, Letter, float], Outcome]] = {
            "register": self._register,
            "lease": self._lease,
            "latch": self._latch,
            "latched": self._latched,
            "leave": self._leave,
            "call": self._call,
            "answer": self._answer,
        }

    def handle(self, route: bytes, frames: Sequence[bytes], now_s: float) -> Outcome:
        """Do what one letter asks; whatever is wrong with it, the sender is told, and the broker goes on.

        Args:
            route: where it came from.
            frames: the letter.
            now_s: monotonic time, s.

        Returns:
            Letters to send and messages to publish.
        """
        try:
            letter = unpack(frames)
        except FrameError as error:
            self._refused += 1
            _LOG.warning("refused a letter from %r: %s", route[:40], error)
            return Outcome()
        operation = self._operations.get(letter.operation, self._unknown)
        try:
            return operation(route, letter, now_s)
        except BrokerError as error:
            kind = "name" if isinstance(error, TopicError) else "letter"
            return self._refusal(route, letter, kind, str(error))
        except Exception as error:  # no letter ends the broker, all nodes hang on it
            what = f"{brief(letter.operation)} letter: {brief(error)}; docs/wire.md has the fields of each"
            _LOG.warning("refused a letter from %r: %s", route[:40], what)
            _LOG.debug("which came of", exc_info=True)
            return self._refusal(route, letter, "letter", what)

    def expire(self, now_s: float) -> Outcome:
        """Forget the nodes whose lease has run out; their clients get an error."""
        outcome = Outcome()
        for node in self.registry.expired(now_s):
            _LOG.warning("node %s has not renewed its lease for %g s: forgotten", node, LEASE_S)
            outcome.letters += self._forget(node, "its lease has run out").letters
        return outcome

    def undeliverable(self, route: bytes, letter: Letter) -> Outcome:
        """Tell the client whose request could not be delivered."""
        if letter.operation != "serve":
            return Outcome()
        client = letter.body["client"]
        call = self._calls.pop((client, letter.id), None)
        name = call.service if call else "a service"
        return _answered(client, _failure(letter.id, f"service {name}: its server is gone ({route!r:.60})"))

    def _register(self, route: bytes, letter: Letter, now_s: float) -> Outcome:
        declaration = Declaration.from_body(letter.body)
        outcome = Outcome()
        held = self.registry.holder(declaration.node)
        other = held is not None and held.declaration.incarnation != declaration.incarnation
        if held and other and (letter.body["takeover"] is True or not self._reaches(held.declaration.route)):
            outcome = self._forget(declaration.node, "another process has taken its name")
        self.registry.register(declaration, now_s)
        outcome.letters.append((route, self._done(letter)))
        return outcome

    def _lease(self, route: bytes, letter: Letter, now_s: float) -> Outcome:
        heard = (status_of(letter.body), vitals_of(letter.body)) if letter.frames else None
        lease = self.registry.renew(letter.body["node"], letter.body["incarnation"], now_s)
        done = self._done(letter, known=lease is not None, wall_ns=time.time_ns())
        outcome = _answered(route, done)
        if lease is not None and heard is not None:
            lease.status, lease.vitals = heard
            outcome.publications.append(letter.frames)
        return outcome

    def _latch(self, route: bytes, letter: Letter, now_s: float) -> Outcome:
        self._check_registered(letter, now_s)
        topic = letter.body["topic"]
        if len(letter.frames) < 2 or letter.frames[0] != to_wire(topic):
            msg = f"latch letter: {len(letter.frames)} frames, expected a message on topic {brief(topic)}"
            raise FrameError(msg)
        self.registry.latch(topic, letter.body["node"], letter.frames)
        outcome = _answered(route, self._done(letter))
        outcome.publications.append(letter.frames)
        return outcome

    def _latched(self, route: bytes, letter: Letter, _now_s: float) -> Outcome:
        values = self.registry.latched(letter.body["topics"])
        body = {"sizes": [len(frames) for frames in values]}
        frames = [frame for value in values for frame in value]
        return _answered(route, Letter("done", letter.id, body, frames))

    def _leave(self, route: bytes, letter: Letter, now_s: float) -> Outcome:
        if self.registry.renew(letter.body["node"], letter.body["incarnation"], now_s) is None:
            return _answered(route, self._done(letter))
        outcome = self._forget(letter.body["node"], "it has left")
        if letter.body.get("failed") is not True:
            self.registry.unlatch(letter.body["node"])
        outcome.letters.append((route, self._done(letter)))
        return outcome

    def _call(self, route: bytes, letter: Letter, now_s: float) -> Outcome:
        service = letter.body["service"]
        if service.startswith(f"/{_NAME}/"):
            return _answered(route, self._own_service(service, letter, now_s))
        server = self.registry.server_of(service)
        if server is None:
            known = sorted(self.registry.services())
            return _answered(
                route, _failure(letter.id, f"service {service}: no node serves it; known: {known}")
            )
        while len(self._calls) >= _MAX_CALLS:
            del self._calls[next(iter(self._calls))]
        self._calls[route, letter.id] = _Call(service, server.node)
        body = {"service": service, "client": route}
        return Outcome([(server.route, Letter("serve", letter.id, body, letter.frames))])

    def _answer(self, _route: bytes, letter: Letter, _now_s: float) -> Outcome:
        client = letter.body["client"]
        if self._calls.pop((client, letter.id), None) is None:
            return Outcome()
        return _answered(client, Letter("answer", letter.id, {"error": letter.body["error"]}, letter.frames))

    def _unknown(self, _route: bytes, letter: Letter, _now_s: float) -> Outcome:
        msg = f"unknown operation {brief(letter.operation)}, expected one of {[*self._operations]}"
        raise FrameError(msg)

    def _own_service(self, service: str, letter: Letter, now_s: float) -> Letter:
        records: dict[str, Any]
        match service:
            case services.INFO.name:
                records = {_NAME: self._about()}
            case services.NODES.name:
                records = self.registry.nodes(now_s)
            case services.TOPICS.name:
                records = self.registry.topics()
            case services.SERVICES.name:
                own = {s.name: _NAME for s in services.OF_BROKER}
                kinds = {"request": RegistryRequest.__name__, "response": RegistryReply.__name__}
                records = {name: {"server": server, **kinds} for name, server in own.items()}
                records |= self.registry.services()
            case _:
                return _failure(letter.id, f"service {service}: the broker does not serve it")
        name = codec.decode(letter.frames, RegistryRequest).message.name
        if name:
            records = {key: record for key, record in records.items() if key == name}
        reply = RegistryReply(json.dumps(records))
        frames = codec.encode(service, reply, sender=_NAME, incarnation=self._instance)
        return Letter("answer", letter.id, {"error": None}, frames)

    def _about(self) -> dict[str, Any]:
        """Return what the broker says of its own process."""
        return {
            "version": VERSION,
            "vocabulary": VOCABULARY,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "up_s": round((time.time_ns() - self._instance) / 1e9, 3),
            "wall_ns": time.time_ns(),
            "refused": self._refused,
        }

    def _check_registered(self, letter: Letter, now_s: float) -> None:
        if self.registry.renew(letter.body["node"], letter.body["incarnation"], now_s) is None:
            msg = f"node {letter.body['node']} is not registered: register before {letter.operation}"
            raise FrameError(msg)

    def _forget(self, node: str, why: str) -> Outcome:
        self.registry.remove(node)
        waiting = [key for key, call in self._calls.items() if call.node == node]
        outcome = Outcome()
        for client, identity in waiting:
            call = self._calls.pop((client, identity))
            text = f"service {call.service}: node {node} did not answer: {why}"
            outcome.letters.append((client, _failure(identity, text)))
        return outcome

    def _refusal(self, route: bytes, letter: Letter, kind: str, error: str) -> Outcome:
        self._refused += 1
        if letter.operation == "call":
            return _answered(route, Letter("answer", letter.id, {"error": error}))
        return _answered(route, Letter("refused", letter.id, {"kind": kind, "error": error}))

    def _done(self, letter: Letter, **body: Any) -> Letter:
        return Letter("done", letter.id, {"instance": self._instance, **body})


def _failure(identity: int, text: str) -> Letter:
    return Letter("answer", identity, {"error": text, "unavailable": True})


def _answered(route: bytes, letter: Letter) -> Outcome:
    return Outcome([(route, letter)])
