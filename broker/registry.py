"""Who is on the bus: nodes with their leases, the topics and services they declare, latched values.

Plain data and rules; no sockets, no clock (time is an argument). Both transports use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.errors import FrameError, TopicError, brief

LEASE_S = 10.0  # a node that has not renewed for so long is gone
RENEWAL_S = 1.0  # a node renews so often
EVERY_TOPIC = "/*"  # what a node that takes all topics declares to take


@dataclass(frozen=True)
class Declaration:
    """What a node says of itself."""

    node: str
    incarnation: int
    route: bytes  # where its letters go
    host: str
    pid: int
    publishes: Mapping[str, tuple[str, str, bool]]  # topic -> type, schema hash, latched
    subscribes: Mapping[str, tuple[str, str]]  # topic -> type, schema hash
    serves: Mapping[str, tuple[str, str]]  # service -> request type, response type
    version: str  # of gridchorus, as far as the node says

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Declaration:
        """Read a declaration from the fields of a `register` letter.

        Raises:
            FrameError: if a field is missing or of a wrong kind.
        """
        try:
            body = {"version": "unknown", **body}
            declaration = cls(**{name: body[name] for name in cls.__dataclass_fields__})
            kinds = tuple(map(type, vars(declaration).values()))
            if kinds != (str, int, bytes, str, int, dict, dict, dict, str):
                raise TypeError(kinds)  # noqa: TRY301 - one place says what is wrong
        except (KeyError, TypeError) as error:
            msg = f"register letter: fields {brief(sorted(body))} are no declaration: {error}"
            raise FrameError(msg) from None
        _check_names(declaration.publishes, (str, str, bool))
        _check_names(declaration.subscribes, (str, str))
        _check_names(declaration.serves, (str, str))
        return declaration


@dataclass
class Lease:
    """A registered node."""

    declaration: Declaration
    renewed_s: float
    status: dict[str, Any] = field(default_factory=dict)  # of its last heartbeat
    vitals: dict[str, Any] = field(default_factory=dict)  # of its last heartbeat, see `vitals`


class Registry:
    """The nodes of one broker."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._latched: dict[str, tuple[str, list[bytes]]] = {}  # topic -> node, frames

    def holder(self, node: str) -> Lease | None:
        """Return the lease of a node, if it has one."""
        return self._leases.get(node)

    def register(self, declaration: Declaration, now_s: float) -> None:
        """Enter a node, or renew what it declares.

        Args:
            declaration: what the node says of itself.
            now_s: time by any clock that only goes forward, s.

        Raises:
            TopicError: if another life of the node is registered, or a declared type or service contradicts
                another node's.
        """
        held = self._leases.get(declaration.node)
        if held is not None and held.declaration.incarnation != declaration.incarnation:
            other = held.declaration
            msg = (
                f"node name {declaration.node!r} is in use by process {other.pid} on {other.host}: "
                "choose another name, or stop that process"
            )
            raise TopicError(msg)
        self._check_against_others(declaration)
        status, vitals = (held.status, held.vitals) if held is not None else ({}, {})
        self._leases[declaration.node] = Lease(declaration, now_s, status, vitals)

    def renew(self, node: str, incarnation: int, now_s: float) -> Lease | None:
        """Prolong a lease; None if this life of the node is not registered."""
        lease = self._leases.get(node)
        if lease is None or lease.declaration.incarnation != incarnation:
            return None
        lease.renewed_s = now_s
        return lease

    def remove(self, node: str) -> None:
        """Forget a node and its declarations; what it latched outlives a crash."""
        self._leases.pop(node, None)

    def expired(self, now_s: float) -> list[str]:
        """Return the nodes whose lease has run out."""
        return [name for name, lease in self._leases.items() if now_s - lease.renewed_s > LEASE_S]

    def server_of(self, service: str) -> Declaration | None:
        """Return the node that serves a service, if any."""
        for lease in self._leases.values():
            if service in lease.declaration.serves:
                return lease.declaration
        return None

    def latch(self, topic: str, node: str, frames: Sequence[bytes]) -> None:
        """Keep the last value of a topic."""
        self._latched[topic] = (node, list(frames))

    def unlatch(self, node: str) -> None:
        """Forget what a node has latched, because it leaves on purpose."""
        self._latched = {topic: held for topic, held in self._latched.items() if held[0] != node}

    def latched(self, topics: Iterable[str]) -> list[list[bytes]]:
        """Return the last values of the latched ones among some topics."""
        return [self._latched[topic][1] for topic in topics if topic in self._latched]

    def nodes(self, now_s: float) -> dict[str, Any]:
        """Return a record per node."""
        return {
            name: {
                "host": lease.declaration.host,
                "pid": lease.declaration.pid,
                "version": lease.declaration.version,
                "publishes": {t: kind for t, (kind, _, _) in lease.declaration.publishes.items()},
                "subscribes": {t: kind for t, (kind, _) in lease.declaration.subscribes.items()},
                "serves": sorted(lease.declaration.serves),
                "renewed_s_ago": round(now_s - lease.renewed_s, 3),
                "status": lease.status,
                "vitals": lease.vitals,
            }
            for name, lease in sorted(self._leases.items())
        }

    def topics(self) -> dict[str, Any]:
        """Return a record per topic."""
        records: dict[str, Any] = {}
        for name, lease in sorted(self._leases.items()):
            for topic, (kind, digest, latched) in lease.declaration.publishes.items():
                record = records.setdefault(topic, _blank(kind, digest))
                record["publishers"].append(name)
                record["latched"] |= latched
            for topic, (kind, digest) in lease.declaration.subscribes.items():
                if topic == EVERY_TOPIC:
                    continue
                records.setdefault(topic, _blank(kind, digest))["subscribers"].append(name)
        return dict(sorted(records.items()))

    def services(self) -> dict[str, Any]:
        """Return a record per service."""
        return {
            service: {"server": name, "request": request, "response": response}
            for name, lease in sorted(self._leases.items())
            for service, (request, response) in lease.declaration.serves.items()
        }

    def _check_against_others(self, declaration: Declaration) -> None:
        mine = _types(declaration)
        for name, lease in self._leases.items():
            if name == declaration.node:
                continue
            theirs = _types(lease.declaration)
            for topic in mine.keys() & theirs.keys():
                if mine[topic] != theirs[topic]:
                    msg = (
                        f"topic {topic}: node {declaration.node} declares {mine[topic]}, node {name} has "
                        f"registered {theirs[topic]}; run the same version on both, or rename the topic"
                    )
                    raise TopicError(msg)
            for service in declaration.serves.keys() & lease.declaration.serves.keys():
                msg = f"service {service}: node {declaration.node} cannot serve it, node {name} does already"
                raise TopicError(msg)


def _check_names(declared: Mapping[str, tuple[Any, ...]], kinds: tuple[type, ...]) -> None:
    for name, entry in declared.items():
        if type(name) is not str or type(entry) is not tuple or tuple(map(type, entry)) != kinds:
            expected = f"str: ({', '.join(kind.__name__ for kind in kinds)})"
            msg = f"register letter: {brief(name)}: {brief(entry)} is declared, expected {expected}"
            raise FrameError(msg)


def _types(declaration: Declaration) -> dict[str, str]:
    """Topic -> type and schema hash."""
    published = {topic: f"{kind} {digest}" for topic, (kind, digest, _) in declaration.publishes.items()}
    return {topic: f"{kind} {digest}" for topic, (kind, digest) in declaration.subscribes.items()} | published


def _blank(kind: str, digest: str) -> dict[str, Any]:
    return {"type": kind, "schema": digest, "latched": False, "publishers": [], "subscribers": []}
