"""What `chorus doctor` checks, and what it makes of the answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Any

from broker.address import is_memory
from broker.errors import RequestTimeoutError, ServiceError
from broker.messages import ControlReply, ControlRequest
from broker.registry import LEASE_S, RENEWAL_S
from broker.schema import VOCABULARY
from broker.services import CONTROL
from broker.version import VERSION
from launch.introspection.address import find_broker, listening
from launch.introspection.errors import NoBrokerError
from launch.introspection.observer import Observer

_LATE_S = 3 * RENEWAL_S  # a node that has not renewed for so long is worth a word
_OFFSET_S = 0.05  # clocks further apart than this make delays wrong that people look at
_STILL_S = 10.0  # a tick that has waited for so long is worth a word, though agents may learn
_EXCHANGES = 5  # with the broker, for the offset of this clock
HERE = "this command"


class Verdict(Enum):
    """How a check went."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    verdict: Verdict
    text: str  # what was found, and what to do


def examine(named: str | None) -> Iterator[Finding]:
    """Yield a finding per check; ends early where nothing more can be asked.

    Args:
        named: address of the broker, if one is named.
    """
    try:
        address = find_broker(named)
    except NoBrokerError as error:
        yield Finding("broker", Verdict.FAILED, str(error))
        if named is not None:
            yield _ports(named)
        return
    with Observer(address) as bus:
        about = bus.broker()
        up = f"{about['up_s']:.0f} s"
        yield Finding(
            "broker", Verdict.OK, f"{address}: process {about['pid']} on {about['host']}, up for {up}"
        )
        yield _ports(address)
        nodes = bus.nodes()
        yield versions(about, nodes)
        yield states(nodes)
        if CONTROL.name in bus.services():
            yield _ticks(bus)
        yield leases(nodes)
        yield losses(nodes)
        yield clocks(nodes, own_offset(bus))


def _ports(address: str) -> Finding:
    if is_memory(address):
        return Finding("ports", Verdict.OK, "none: the bus is in this process")
    ends = listening(address)
    closed = [end for end, there in ends.items() if not there]
    if not closed:
        return Finding("ports", Verdict.OK, f"{', '.join(ends)}: open")
    text = f"{', '.join(closed)}: nobody answers; a broker needs all three, is a firewall in between?"
    return Finding("ports", Verdict.FAILED, text)


def versions(about: Mapping[str, Any], nodes: Mapping[str, Any]) -> Finding:
    """Compare this command, the broker and the nodes.

    Args:
        about: what the broker says of itself.
        nodes: record of every node.
    """
    found = {HERE: VERSION, "broker": about["version"], **{n: r["version"] for n, r in nodes.items()}}
    if about["vocabulary"] != VOCABULARY:
        text = (
            f"the message types of the broker ({about['version']}, {about['vocabulary']}) are not those of "
            f"this command ({VERSION}, {VOCABULARY}): run the same version of gridchorus on both"
        )
        return Finding("versions", Verdict.FAILED, text)
    other = {name: version for name, version in found.items() if version != VERSION}
    if other:
        differing = ", ".join(f"{name} {version}" for name, version in other.items())
        return Finding("versions", Verdict.WARNING, f"{HERE} is {VERSION}, but {differing}")
    return Finding("versions", Verdict.OK, f"{VERSION} everywhere, and the same message types")


def states(nodes: Mapping[str, Any]) -> Finding:
    """Look for nodes that have failed or did not start."""
    if not nodes:
        return Finding("nodes", Verdict.WARNING, "none: the broker is there, but nobody has joined it")
    state = {name: record["status"].get("state", "starting") for name, record in nodes.items()}
    failed = [name for name, word in state.items() if word == "failed"]
    if failed:
        return Finding("nodes", Verdict.FAILED, f"{', '.join(failed)}: failed; look at their logs")
    counts = {word: list(state.values()).count(word) for word in sorted(set(state.values()))}
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    return Finding("nodes", Verdict.OK, f"{len(nodes)}: {text}")


def _ticks(bus: Observer) -> Finding:
    try:
        reply = bus.call(CONTROL, ControlRequest("status"))
    except RequestTimeoutError as error:
        return Finding("ticks", Verdict.WARNING, f"the simulator is busy, or hangs: {error}")
    except ServiceError as error:
        return Finding("ticks", Verdict.WARNING, f"the simulator does not say where it is: {error}")
    return ticks(reply)


def ticks(reply: ControlReply) -> Finding:
    """Look for a lock-step tick that waits for somebody.

    Args:
        reply: the simulator's to "status".
    """
    where = f"tick {reply.tick} of epoch {reply.epoch}"
    if reply.paused:
        text = f"{where}: paused; `chorus service call {CONTROL.name} '{{command: resume}}'` goes on"
        return Finding("ticks", Verdict.OK, text)
    missing, waited_s = _waiting(reply.detail)
    if missing and waited_s > _STILL_S:
        text = (
            f"{where} has waited {waited_s:.0f} s for {', '.join(missing)}: learning, or stuck? See the logs"
        )
        return Finding("ticks", Verdict.WARNING, text)
    return Finding("ticks", Verdict.OK, where)


def _waiting(detail: str) -> tuple[list[str], float]:
    """Return whom a tick waits for, and for how many seconds; nobody if a simulator says other things."""
    try:
        status = json.loads(detail)
        return [str(name) for name in status["missing"]], float(status["waited_s"])
    except (ValueError, TypeError, KeyError):
        return [], 0.0


def leases(nodes: Mapping[str, Any]) -> Finding:
    """Look for nodes that have been silent."""
    late = {n: r["renewed_s_ago"] for n, r in nodes.items() if r["renewed_s_ago"] > _LATE_S}
    if late:
        silent = ", ".join(f"{name} {age:.1f} s" for name, age in late.items())
        text = f"silent for more than {_LATE_S:g} s: {silent}; is it stopped, or starved of processor time?"
        return Finding("leases", Verdict.WARNING, text)
    oldest = max((record["renewed_s_ago"] for record in nodes.values()), default=0.0)
    return Finding(
        "leases", Verdict.OK, f"all renewed within {oldest:.1f} s, they run out after {LEASE_S:g} s"
    )


def losses(nodes: Mapping[str, Any]) -> Finding:
    """Add up what was lost on the way, refused or dropped."""
    kinds = ("lost", "refused", "unsent", "overrun")
    bad = []
    for name, record in nodes.items():
        counts = {**record["vitals"], **record["status"]}
        figures = [f"{counts[kind]} {kind}" for kind in kinds if counts.get(kind)]
        if figures:
            bad.append(f"{name} {', '.join(figures)}")
    if bad:
        text = f"{'; '.join(bad)} (lock-step sends again what it misses; other readers do not)"
        return Finding("messages", Verdict.WARNING, text)
    received = sum(record["status"].get("received", 0) for record in nodes.values())
    return Finding("messages", Verdict.OK, f"0 lost, 0 refused of {received} received")


def own_offset(bus: Observer) -> tuple[float, float]:
    """Return this clock minus the broker's and the bound of its error, s; as NTP does it."""
    exchanges = []
    for _ in range(_EXCHANGES):
        sent_ns = time.time_ns()
        broker_ns = bus.broker()["wall_ns"]
        received_ns = time.time_ns()
        middle_ns = (sent_ns + received_ns) // 2
        exchanges.append(((received_ns - sent_ns) / 2e9, (middle_ns - broker_ns) / 1e9))
    error, offset = min(exchanges)
    return offset, error


def clocks(nodes: Mapping[str, Any], own: tuple[float, float]) -> Finding:
    """Find the two clocks that are furthest apart.

    Args:
        nodes: record of every node.
        own: offset of this clock from the broker's, and its bound, s.
    """
    offsets = {"broker": (0.0, 0.0), HERE: own}
    for name, record in nodes.items():
        vitals = record["vitals"]
        if "clock_offset_s" in vitals:
            offsets[name] = (vitals["clock_offset_s"], vitals["clock_error_s"])
    apart = {
        pair: (abs(offsets[pair[0]][0] - offsets[pair[1]][0]), offsets[pair[0]][1] + offsets[pair[1]][1])
        for pair in combinations(offsets, 2)
    }
    (one, other), (worst, error) = max(apart.items(), key=lambda item: item[1][0] - item[1][1])
    text = f"{one} and {other} are {worst * 1e3:.1f} ms apart (+- {error * 1e3:.1f} ms)"
    if worst - error > _OFFSET_S:
        return Finding("clocks", Verdict.WARNING, f"{text}: run NTP or PTP, or mistrust delays between them")
    surely = max(0.0, worst - error)
    worst_case = max(value + bound for value, bound in apart.values())
    return Finding(
        "clocks",
        Verdict.OK,
        f"{len(offsets)} compared, at most {worst_case * 1e3:.1f} ms apart, surely {surely * 1e3:.1f} ms",
    )
