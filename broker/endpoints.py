"""What a node publishes through and takes from: typed topics with sequence numbers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker import codec
from broker.codec import Received
from broker.schema import schema_of
from broker.topics import to_wire

Message = TypeVar("Message")


@dataclass
class Counters:
    """What has gone through a node."""

    received: int = 0
    sent: int = 0
    lost: int = 0  # gaps in the sequence numbers of senders
    refused: int = 0  # malformed messages
    unsent: int = 0  # messages for which there was no room in time
    overrun: int = 0  # messages that a full subscription let go of, oldest first
    tick: int = 0  # last one answered, where a node keeps count between its reports of status
    lag_ns: int = 0  # how old a message was when it was taken in, the worst since the last heartbeat


class Publisher(Generic[Message]):
    """Sends messages of one type on one topic."""

    def __init__(
        self,
        topic: str,
        message_type: type[Message],
        sender: str,
        incarnation: int,
        send: Callable[[list[bytes]], None],
    ) -> None:
        """Keep what every header repeats; `send` takes the frames."""
        schema_of(message_type)
        self.topic = topic
        self._type = message_type
        self._sender = sender
        self._incarnation = incarnation
        self._send = send
        self._seq = 0

    def publish(self, message: Message, time_s: float = 0.0) -> None:
        """Send one message to all subscribers.

        Args:
            message: of the type of this topic.
            time_s: simulation time, s.

        Raises:
            MessageError: if the message is of another type, or a field is not as declared.
        """
        if type(message) is not self._type:
            codec.refuse_type(self.topic, type(message), self._type)
        frames = codec.encode(
            self.topic,
            message,
            sender=self._sender,
            incarnation=self._incarnation,
            seq=self._seq,
            time_s=time_s,
        )
        self._seq += 1
        self._send(frames)


class Subscription(Generic[Message]):
    """Keeps the newest messages of one topic until they are taken."""

    def __init__(self, topic: str, message_type: type[Message], keep: int, counters: Counters) -> None:
        """Keep at most `keep` messages."""
        schema_of(message_type)
        self.topic = topic
        self.wire = to_wire(topic)
        self.lost = 0
        self._type = message_type
        self._queue: deque[Received[Message]] = deque(maxlen=keep)
        self._counters = counters
        self._last: dict[str, tuple[int, int]] = {}  # sender -> incarnation, sequence number

    def __len__(self) -> int:
        return len(self._queue)

    def take(self) -> Received[Message] | None:
        """Return the oldest message that waits, None if there is none."""
        return self._queue.popleft() if self._queue else None

    def accept(self, frames: Sequence[bytes]) -> None:
        """Queue a message that has come in, unless it has come before.

        Raises:
            FrameError: if it is not a valid message of this topic's type.
        """
        received = codec.decode(frames, self._type)
        header = received.header
        incarnation, last = self._last.get(header.sender, (None, -1))
        if incarnation == header.incarnation:
            if header.seq <= last:
                return
            gap = header.seq - last - 1
            self.lost += gap
            self._counters.lost += gap
        self._last[header.sender] = (header.incarnation, header.seq)
        counters = self._counters
        counters.received += 1
        counters.lag_ns = max(counters.lag_ns, time.time_ns() - header.wall_ns)
        if len(self._queue) == self._queue.maxlen:
            counters.overrun += 1
        self._queue.append(received)
