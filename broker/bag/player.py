"""The player: publishes a bag's messages as they travelled, byte by byte, in their order and at their times.

`python -m broker.bag.player --name player --broker ADDRESS --config FILE.json`
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker import Node, topics
from broker.bag import flow
from broker.bag.errors import BagError
from broker.bag.lives import Lives
from broker.bag.orders import Orders
from broker.bag.pace import Due, Pace
from broker.bag.process import run_as_node
from broker.bag.reader import Bag, TopicInfo
from broker.bag.recorded import Damage, Recorded
from broker.bag.recorder import control_of
from broker.bag.selection import selected
from broker.bag.settings import PlayerSettings
from broker.messages import Clock, ControlReply, ControlRequest
from broker.presence import await_nodes
from broker.schema import BY_NAME
from broker.topics import to_wire

_SPIN_S = 0.02  # services are looked after so often
_NEAR_S = 0.004  # nearer than this, waiting is by sleeping instead of listening
_CLOSE_S = 0.00015  # nearer than this, by looking at the clock: a sleep ends that much too late


class Seek(Exception):  # noqa: N818 - no error: the way out of the middle of a bag
    """Go on from another place."""


class PlayerNode:
    """One player.

    Args:
        node: the connection to the broker.
        settings: what is played, and how.
    """

    def __init__(self, node: Node, settings: PlayerSettings) -> None:
        self.node = node
        self.settings = settings
        self.pace = Pace(settings.rate, paused=settings.paused)
        self.played = 0
        self.skipped = 0  # messages that are none
        self.late_ns: list[int] | None = None  # how late each message left, if somebody wants to know
        self.damage = Damage.SKIP if settings.skip_damaged else Damage.REFUSE
        self.bag = Bag(Path(settings.bag))
        self.start_ns, self.end_ns = self.bag.span_ns
        try:
            self.infos = self._selected()
        except BagError:
            self.bag.close()
            raise
        self.orders = Orders(self.pace, self.start_ns, self.end_ns)
        self._lives = None if settings.as_recorded else Lives()
        self._spun = 0.0
        self._in_window = 0
        self._outside: float | None = None  # newest time of an outside clock, s
        for info in self.infos.values():
            if self.on_bus(info.topic) != topics.LOG:  # every node publishes on it anyway
                node.publisher(self.on_bus(info.topic), BY_NAME[info.type].cls, latched=info.latched)
        self._clock = self._own_clock()
        self._clocks = node.subscription(topics.CLOCK, Clock) if settings.follow_clock else None
        self._clock_due = 0.0
        node.server(control_of(node.name), self._control)

    def stop(self) -> None:
        """End soon; callable from signal handlers."""
        self.orders.stopped = True

    def run(self) -> int:
        """Play to the end, or until stopped; returns the process's exit code."""
        try:
            self.node.ready(timeout_s=30.0)
            await_nodes(self.node, self.settings.wait_for)
            self.node.set_status("running")
            self._play()
            self._finish()
        finally:
            self.bag.close()
        return 0

    def _play(self) -> None:
        begin_ns = start_ns = self.start_ns + int(self.settings.start_offset_s * 1e9)
        while self.going:
            try:
                self.play_from(start_ns)
            except Seek:
                assert self.orders.target_ns is not None
                start_ns, self.orders.target_ns = self.orders.target_ns, None
            else:
                if not self.settings.loop:
                    break
                start_ns = begin_ns
            self._lives = Lives()  # subscribers take each message of one life only once

    @property
    def going(self) -> bool:
        """Say whether to go on."""
        return self.node.ok() and not self.orders.stopped

    def on_bus(self, topic: str) -> str:
        """Return a topic's name on the bus."""
        return self.settings.remap.get(topic, topic)

    def play_from(self, start_ns: int) -> None:
        """Play from a receive stamp to the end.

        Raises:
            Seek: if somebody wants another place.
        """
        self.pace.go_to(start_ns)
        for message in self.bag.latched_before(start_ns, self.infos, self.damage):
            self.send(message)
        duration_s = self.settings.duration_s
        end_ns = self.end_ns if duration_s is None else start_ns + int(duration_s * 1e9)
        for due_ns, message in self.schedule(start_ns):
            if message.receive_ns > end_ns:
                break
            if not self.wait_until(due_ns):
                return
            if self.late_ns is not None:
                self.late_ns.append(-int(self.pace.left_s(due_ns) * 1e9))
            self.send(message)

    def schedule(self, start_ns: int) -> Iterator[tuple[int, Recorded]]:
        """Yield the selected messages from a receive stamp on, with the bag time at which each is due."""
        due = Due(start_ns)
        for message in self.bag.messages(self.infos, start_ns, self.damage):
            yield due.of(message), message

    def wait_until(self, due_ns: int) -> bool:
        """Wait for a bag time, serving meanwhile; False if the end came first.

        Raises:
            Seek: if somebody wants another place.
        """
        while self.going:
            if self.orders.target_ns is not None:
                raise Seek
            if self.orders.steps:
                self.orders.steps -= 1
                self.pace.go_to(due_ns)
                return True
            left = self._left_s(due_ns)
            now = time.perf_counter()
            if left > _NEAR_S:
                self._look(min(left - _NEAR_S / 2, 0.1), due_ns)
            elif now - self._spun > _SPIN_S and (left <= 0 or left > 3 * _CLOSE_S):
                self._look(0.0, due_ns)
            elif left <= 0:
                if self.pace.rate is None:
                    self.pace.go_to(due_ns)
                return True
            elif left > _CLOSE_S:
                time.sleep(left - _CLOSE_S)
        return False

    def send(self, message: Recorded) -> None:
        """Publish a message as it travelled, if need be as of a new life of its sender.

        Raises:
            BagError: if it is none, unless those are skipped.
        """
        try:
            frames = message.frames
        except BagError as error:
            if self.damage is Damage.SKIP:
                self.skipped += 1
                return
            msg = f"{self.settings.bag}: topic {message.topic}: {error}; --skip-damaged goes on without it"
            raise BagError(msg) from None
        topic = self.on_bus(message.topic)
        if topic != message.topic:
            frames[0] = to_wire(topic)
        if self._lives is not None:
            frames[1] = self._lives.renewed(frames[1])
        self.node.relay(frames, latched=message.latched)
        self.played += 1
        if self.pace.rate is None:
            self._in_window += 1
            if self._in_window >= flow.WINDOW:
                self.settle()

    def settle(self) -> None:
        """Wait until everybody has taken in what was sent."""
        self._in_window = 0
        flow.settle(self.node, [self.on_bus(topic) for topic in self.infos])

    def _finish(self) -> None:
        if self.pace.rate is None and self.going:
            self.settle()
        chunks, messages = self.bag.skipped, self.skipped
        if chunks or messages:
            text = f"{self.settings.bag}: {chunks} damaged chunks and {messages} messages were skipped"
            self.node.log("warning", text)
        note = {"played": self.played, "skipped_chunks": chunks, "skipped_messages": messages}
        self.node.set_status("done", note=json.dumps(note))

    def _left_s(self, due_ns: int) -> float:
        if self._clocks is None:
            return self.pace.left_s(due_ns)
        while (received := self._clocks.take()) is not None:
            self._outside = received.message.time_s
        if self._outside is None or self.pace.paused:
            return float("inf")
        return 0.0 if self._outside >= (due_ns - self.start_ns) / 1e9 else float("inf")

    def _look(self, timeout_s: float, due_ns: int) -> None:
        """Serve the bus, and show the time, but none beyond that at which the next message is due."""
        self.node.spin(timeout_s)
        self._spun = time.perf_counter()
        if self._clock is not None and self._spun >= self._clock_due and not self.pace.paused:
            assert self.settings.clock_hz is not None
            self._clock_due = self._spun + 1.0 / self.settings.clock_hz
            bag_s = (min(self.pace.now_ns, due_ns) - self.start_ns) / 1e9
            self._clock.publish(Clock(0, 0, bag_s), time_s=bag_s)

    def _own_clock(self) -> Any:
        """Return a publisher of /clock, if the bag's own is not played."""
        if self.settings.clock_hz is None or topics.CLOCK in map(self.on_bus, self.infos):
            return None
        return self.node.publisher(topics.CLOCK, Clock)

    def _selected(self) -> dict[str, TopicInfo]:
        """Return the topics that are played; refuse what cannot be."""
        return selected(self.bag, self.settings)

    def _control(self, request: ControlRequest) -> ControlReply:
        self.orders.obey(request.command, request.arguments)
        place_s = (self.pace.now_ns - self.start_ns) / 1e9
        detail = json.dumps({"time_s": place_s, "played": self.played, "rate": self.pace.rate})
        return ControlReply(0, 0, paused=self.pace.paused, detail=detail)


def build(node: Node, values: dict[str, Any]) -> Any:
    """Return the player for some settings, in its role."""
    settings = PlayerSettings.from_dict(values)
    match settings.role:
        case "to_agents":
            from broker.bag.to_agents import ToAgents

            return ToAgents(node, settings)
        case "of_agents":
            from broker.bag.of_agents import OfAgents

            return OfAgents(node, settings)
    return PlayerNode(node, settings)


if __name__ == "__main__":
    run_as_node(build, prog="python -m broker.bag.player", doc=__doc__)
