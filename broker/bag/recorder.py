"""The recorder: takes everything that travels and writes it to a bag.

`python -m broker.bag.recorder --name recorder --broker ADDRESS --config FILE.json`
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from broker import Node
from broker.bag import chain
from broker.bag.errors import BagError
from broker.bag.layout import Origin, origin_of, packed
from broker.bag.ledger import Ledger
from broker.bag.process import run_as_node
from broker.bag.reader import SUFFIX
from broker.bag.settings import RecorderSettings
from broker.bag.writer import BagWriter
from broker.errors import BrokerError
from broker.messages import ControlReply, ControlRequest, RegistryRequest
from broker.services import TOPICS, Service

_TURN_S = 0.1  # the longest wait for messages
_LOOK_S = 0.004  # between two looks: waking up for each message alone would cost three times as much
_QUIET_S = 0.2  # at the end: nothing has come for so long, so nothing is under way
_UNKNOWN = Origin("", "", "", 0, 0, 0, 0.0)


class _Taken(NamedTuple):
    """A message that waits to be written."""

    stamp_ns: int
    topic: str
    origin: Origin
    data: bytes


class RecorderNode:
    """One recorder.

    Args:
        node: the connection to the broker.
        settings: what is recorded, and where.
    """

    def __init__(self, node: Node, settings: RecorderSettings) -> None:
        self._node = node
        self._settings = settings
        self._stopping = False
        self._ledger = Ledger()
        self._refused = 0
        self._latched: dict[str, bool] = {}
        self._channels: dict[tuple[str, str, str], int] = {}  # of the open file
        self._wanted: dict[str, bool] = {}
        self._last_ns = 0
        self._waiting: deque[tuple[int, Sequence[bytes]]] = deque()
        self._kept: deque[_Taken] = deque()  # snapshot mode
        self._newest: dict[str, _Taken] = {}  # snapshot mode: latched values that are older than what is kept
        self._writer: BagWriter | None = None
        self._begun = self._flushed = 0.0
        self._total = 0
        self._previous = chain.START
        node.tap(self._take)
        node.server(control_of(node.name), self._control)

    def stop(self) -> None:
        """End after what is under way has been written; callable from signal handlers."""
        self._stopping = True

    def run(self) -> int:
        """Record until stopped.

        Returns:
            the process's exit code: 1 if the bag could not be written.
        """
        if self._settings.snapshot_s is None:
            self._open()
        self._node.ready(timeout_s=30.0)
        self._learn_latched()
        try:
            while self._node.ok() and not self._stopping:
                if self._turn(_TURN_S):
                    time.sleep(_LOOK_S)
            self._drain()
        except OSError as error:
            return self._give_up(error)
        if self._settings.snapshot_s is None:
            self._close("stopped")
        self._node.set_status("done")
        return 0

    def _turn(self, timeout_s: float) -> bool:
        """Take in and write what has come; return whether anything has."""
        came = self._node.spin(timeout_s)
        while self._waiting:
            self._handle(*self._waiting.popleft())
        if self._writer is not None and time.monotonic() - self._flushed >= self._settings.flush_s:
            self._flush(self._writer)
        return came

    def _drain(self) -> None:
        """Write what was under way when the end was asked for."""
        until = time.monotonic() + _QUIET_S
        while time.monotonic() < until and self._node.ok():
            before = self._total
            self._turn(0.05)
            if self._total > before:
                until = min(time.monotonic() + _QUIET_S, until + _QUIET_S)

    def _take(self, frames: Sequence[bytes]) -> None:
        self._waiting.append((time.time_ns(), frames))

    def _handle(self, stamp_ns: int, frames: Sequence[bytes]) -> None:
        topic = frames[0][:-1].decode("utf-8", "replace")
        wanted = self._wanted.get(topic)
        if wanted is None:
            wanted = self._wanted[topic] = self._settings.wants(topic)
        if not wanted:
            return
        origin = origin_of(frames[1])
        if origin is None:
            self._refused += 1  # recorded all the same: it is what travelled
            origin = _UNKNOWN
        elif self._ledger.note(topic, origin) is False:
            return  # a latched value that came both ways
        self._last_ns = max(self._last_ns, stamp_ns)  # a clock that is set back must not disorder the bag
        taken = _Taken(self._last_ns, topic, origin, packed(frames))
        self._total += 1
        if self._writer is None:
            self._keep(taken)
        else:
            self._write(self._writer, taken)

    def _write(self, writer: BagWriter, taken: _Taken) -> None:
        origin = taken.origin
        key = (taken.topic, origin.type, origin.schema)
        channel = self._channels.get(key)
        if channel is None:
            latched = self._is_latched(taken.topic)
            channel = self._channels[key] = writer.channel(*key, latched=latched)
        writer.write(channel, taken.data, origin.seq, taken.stamp_ns, origin.wall_ns)

    def _keep(self, taken: _Taken) -> None:
        """Hold a message in memory; what is older than the snapshot goes, but for latched values."""
        assert self._settings.snapshot_s is not None
        self._kept.append(taken)
        oldest_ns = taken.stamp_ns - int(self._settings.snapshot_s * 1e9)
        while self._kept[0].stamp_ns < oldest_ns:
            gone = self._kept.popleft()
            if self._is_latched(gone.topic):
                self._newest[gone.topic] = gone

    def _snapshot(self) -> str:
        """Write what is kept to a file of its own; returns its name."""
        self._open()
        writer = self._writer
        assert writer is not None
        first_ns = self._kept[0].stamp_ns if self._kept else self._last_ns
        for taken in self._newest.values():
            self._write(writer, taken._replace(stamp_ns=first_ns))
        for taken in self._kept:
            self._write(writer, taken)
        self._kept.clear()
        self._close("snapshot")
        self._writer = None
        return writer.path.name

    def _open(self) -> None:
        settings = self._settings
        folder = Path(settings.folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = 0
            while (path := folder / f"{settings.name}_{number}{SUFFIX}").exists():
                number += 1
            self._writer = BagWriter(path, settings.metadata, self._previous)
        except OSError as error:
            msg = f"bag in {folder}: cannot be written: {error.strerror}; choose another folder"
            raise BagError(msg) from error
        self._channels.clear()
        self._begun = self._flushed = time.monotonic()

    def _flush(self, writer: BagWriter) -> None:
        writer.lost = self._ledger.lost
        writer.flush()
        self._flushed = time.monotonic()
        counters = self._node.counters
        counters.received, counters.lost = self._total, sum(self._ledger.lost.values())
        counters.refused = self._refused
        self._node.set_status("running", note=json.dumps({"messages": self._total, "file": writer.path.name}))
        settings = self._settings
        full = settings.max_size is not None and writer.size >= settings.max_size
        long = settings.max_duration_s is not None and self._flushed - self._begun >= settings.max_duration_s
        if full or long:
            self._close("split")
            self._open()

    def _close(self, why: str) -> int:
        writer = self._writer
        assert writer is not None
        writer.lost = self._ledger.lost
        facts = {
            "why": why,
            "lost": json.dumps(self._ledger.lost),
            "repeated": str(self._ledger.repeated),
            "refused": str(self._refused),
        }
        given_up = writer.close(facts)
        self._previous = writer.head
        return given_up

    def _give_up(self, error: OSError) -> int:
        """End a bag that cannot be written any more: what is in it stays readable."""
        assert self._writer is not None
        before = self._total
        self._close("full")
        text = (
            f"{self._writer.path}: recording stopped: {error.strerror}; {self._writer.messages} messages of "
            f"{before} are in the bag, which is whole up to there"
        )
        self._node.log("error", text)
        self._node.set_status("failed", note=text)
        return 1

    def _learn_latched(self) -> None:
        reply = self._node.client(TOPICS).call(RegistryRequest(), timeout_s=5.0)
        for topic, record in json.loads(reply.records).items():
            self._latched[topic] = bool(record["latched"])

    def _is_latched(self, topic: str) -> bool:
        """Ask the broker about a topic at its first message."""
        if topic not in self._latched:
            self._latched[topic] = False
            try:
                self._learn_latched()
            except BrokerError as error:
                self._node.log("warning", f"is {topic} latched? {error}")
        return self._latched[topic]

    def _control(self, request: ControlRequest) -> ControlReply:
        detail = ""
        match request.command:
            case "snapshot" if self._settings.snapshot_s is not None:
                detail = self._snapshot()
            case "status":
                detail = json.dumps({"messages": self._total, "lost": self._ledger.lost})
            case "stop":
                self._stopping = True
            case other:
                msg = (
                    f"recorder: cannot do {other!r}: expected status or stop, or snapshot when started with "
                    "--snapshot"
                )
                raise BagError(msg)
        return ControlReply(0, 0, paused=False, detail=detail)


def control_of(name: str) -> Service[ControlRequest, ControlReply]:
    """Return the control service of a recorder or player."""
    return Service(f"/{name}/control", ControlRequest, ControlReply)


def build(node: Node, values: dict[str, Any]) -> RecorderNode:
    """Return the recorder for some settings."""
    return RecorderNode(node, RecorderSettings.from_dict(values))


if __name__ == "__main__":
    run_as_node(build, prog="python -m broker.bag.recorder", doc=__doc__)
