"""The recorder: takes everything that travels and writes it to a bag.

`python -m broker.bag.recorder --name recorder --broker ADDRESS --config FILE.json`
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from broker import Node
from broker.bag.errors import BagError
from broker.bag.layout import Origin, is_message, origin_of, packed
from broker.bag.ledger import Ledger
from broker.bag.process import run_as_node
from broker.bag.recording import Recording, Taken
from broker.bag.settings import RecorderSettings
from broker.bag.snapshot import LastSeconds
from broker.errors import BrokerError
from broker.messages import ControlReply, ControlRequest, RegistryRequest
from broker.services import TOPICS, Service

_TURN_S = 0.1  # the longest wait for messages
_LOOK_S = 0.004  # between two looks: waking up for each message alone would cost three times as much
_QUIET_S = 0.2  # at the end: nothing has come for so long, so nothing is under way
_DRAIN_S = 2.0  # at the end: what comes later than this was not under way, however busy the bus is
_UNKNOWN = Origin("", "", "", 0, 0, 0, 0.0)


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
        self._total = 0  # messages taken in
        self._last_ns = 0
        self._latched: dict[str, bool] = {}
        self._wanted: dict[str, bool] = {}
        self._waiting: deque[tuple[int, Sequence[bytes]]] = deque()
        self._ledger = Ledger()
        self._files = Recording(settings, self._ledger, self._is_latched)
        span_s = settings.snapshot_s
        self._memory = None if span_s is None else LastSeconds(span_s, self._is_latched)
        node.tap(self._take)
        node.server(control_of(node.name), self._control)

    def stop(self) -> None:
        """End after what is under way has been written; callable from signal handlers."""
        self._stopping = True

    def run(self) -> int:
        """Record until stopped.

        Returns:
            the process's exit code: 1 if not all of it could be written.

        Raises:
            BagError: if the first file cannot be made.
            ConnectionFailedError: if there is no broker.
            TopicError: if the node's name is in use; then there is no folder either.
        """
        self._files.find_head()
        self._node.ready(timeout_s=30.0)
        self._learn_latched()
        if self._memory is None:
            self._files.open()
        try:
            while self._node.ok() and not self._stopping:
                if self._turn(_TURN_S):
                    time.sleep(_LOOK_S)
            self._drain()
            self._files.close("stopped")
        except OSError as error:
            return self._give_up(error)
        self._node.set_status("done")
        return 0

    def _turn(self, timeout_s: float) -> bool:
        """Take in and write what has come; return whether anything has."""
        came = self._node.spin(timeout_s)
        self._take_in()
        if self._files.flush_due:
            self._flush()
        return came

    def _drain(self) -> None:
        """Write what was under way when the end was asked for."""
        end = time.monotonic() + _DRAIN_S
        quiet = time.monotonic() + _QUIET_S
        while time.monotonic() < min(quiet, end) and self._node.ok():
            before = self._total
            self._turn(0.05)
            if self._total > before:
                quiet = time.monotonic() + _QUIET_S

    def _take(self, frames: Sequence[bytes]) -> None:
        self._waiting.append((time.time_ns(), frames))

    def _take_in(self) -> None:
        while self._waiting:
            self._handle(*self._waiting.popleft())

    def _handle(self, stamp_ns: int, frames: Sequence[bytes]) -> None:
        if not is_message(frames):
            self._ledger.refused += 1  # somebody else's; without a topic it has no place in a bag
            return
        topic = frames[0][:-1].decode("utf-8", "replace")
        wanted = self._wanted.get(topic)
        if wanted is None:
            wanted = self._wanted[topic] = self._settings.wants(topic)
        if not wanted:
            return
        origin = origin_of(frames[1])
        if origin is None:
            self._ledger.refused += 1  # recorded all the same: it is what travelled
            origin = _UNKNOWN
        elif self._ledger.note(topic, origin) is False:
            return  # a latched value that came both ways
        self._last_ns = max(self._last_ns, stamp_ns)  # a clock that is set back must not disorder the bag
        taken = Taken(self._last_ns, topic, origin, packed(frames))
        self._total += 1
        if self._memory is None:
            self._files.write(taken)
        else:
            self._memory.keep(taken)

    def _flush(self) -> None:
        name = self._files.flush()
        counters = self._node.counters
        counters.received, counters.lost = self._total, sum(self._ledger.lost.values())
        counters.refused = self._ledger.refused
        self._node.set_status("running", note=json.dumps({"messages": self._total, "file": name}))
        self._files.split()

    def _snapshot(self) -> str:
        """Write what is kept to a file of its own; returns its name."""
        assert self._memory is not None
        self._take_in()  # what came before the request is part of it
        try:
            name = self._files.snapshot(self._memory.held())
        except OSError as error:
            msg = (
                f"snapshot in {self._settings.folder}: cannot be written: {error.strerror or error}; there "
                "is no new file, the messages are still in memory: make room and ask again"
            )
            raise BagError(msg) from error
        self._memory.forget()
        return name

    def _give_up(self, error: OSError) -> int:
        """End a bag that cannot be written any more: what is in it stays readable."""
        with contextlib.suppress(OSError):  # the same again, most likely
            self._files.close("full")
        text = (
            f"bag in {self._settings.folder}: recording stopped: {error.strerror or error}; "
            f"{self._files.messages} messages of {self._total} are in it, and it is whole up to there"
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
            case "snapshot" if self._memory is not None:
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
