"""What the tests of bags share: messages, bags made of them, and a bus in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from broker import Node, codec
from broker.bag.layout import origin_of, packed
from broker.bag.writer import BagWriter
from broker.messages import Clock, GridState, Observation
from broker.zeromq import ZeroMqBroker

START_NS = 1_700_000_000_000_000_000


def observation(tick: int, width: int = 50) -> Observation:
    rng = np.random.default_rng(tick)
    return Observation(
        1,
        tick,
        np.full(2, tick, np.int64),
        rng.random((2, width), np.float32),
        np.zeros(2, np.float32),
        np.zeros(2, np.bool_),
        np.zeros(2, np.bool_),
    )


def state(tick: int) -> GridState:
    return GridState(
        1,
        tick,
        np.full((2, 3), tick, np.float32),
        np.zeros((2, 0), np.float32),
        np.zeros((2, 1), np.float32),
        np.zeros(2, np.bool_),
        np.zeros(2, np.bool_),
        np.zeros((2, 0), np.float32),
    )


def frames_of(topic: str, message: object, seq: int, sender: str = "simulator") -> list[bytes]:
    return codec.encode(topic, message, sender=sender, incarnation=1, seq=seq, time_s=float(seq))


def write(
    path: Path,
    messages: Sequence[tuple[list[bytes], int]],
    latched: Sequence[str] = (),
    flush_every: int = 50,
    **kwargs: object,
) -> Path:
    """Write frames with their stamps (both the same), in chunks of `flush_every` messages."""
    writer = BagWriter(path, **kwargs)  # type: ignore[arg-type]
    for number, (frames, stamp_ns) in enumerate(messages):
        origin = origin_of(frames[1])
        topic = frames[0][:-1].decode()
        assert origin is not None
        channel = writer.channel(topic, origin.type, origin.schema, latched=topic in latched)
        writer.write(channel, packed(frames), origin.seq, stamp_ns, stamp_ns)
        if (number + 1) % flush_every == 0:
            writer.flush()
    writer.close()
    return path


def sample(path: Path, count: int = 400, period_ns: int = 1_000_000) -> Path:
    """A latched clock first, then observations of two topics, one per period."""
    messages = [(frames_of("/latched", Clock(1, 0, 0.0), 0), START_NS)]
    for number in range(count):
        topic = f"/grid/observation/{'ab'[number % 2]}"
        frames = frames_of(topic, observation(number), number // 2)
        messages.append((frames, START_NS + (number + 1) * period_ns))
    return write(path, messages, latched=["/latched"])


@contextmanager
def bus(folder: Path) -> Iterator[str]:
    """Address of a broker in a thread."""
    address = f"ipc://{folder}/b"
    broker = ZeroMqBroker(address)
    thread = threading.Thread(target=broker.run)
    thread.start()
    try:
        yield address
    finally:
        broker.stop()
        thread.join(10)


@contextmanager
def in_thread(run: Callable[[], object], stop: Callable[[], None]) -> Iterator[list[object]]:
    """Run something beside the test; its result or its error is in the list in the end."""
    results: list[object] = []

    def work() -> None:
        try:
            results.append(run())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield results
    finally:
        stop()
        thread.join(20)
        assert not thread.is_alive()


def until(node: Node, holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came"
        node.spin(0.05)


class Tap:
    """Everything that travels, as a node of its own sees it."""

    def __init__(self, name: str, address: str) -> None:
        self.node = Node(name, address)
        self.taken: list[list[bytes]] = []
        self.node.tap(lambda frames: self.taken.append([bytes(frame) for frame in frames]))
        self.node.ready(20.0)

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.node.close()

    def of(self, *topics: str) -> list[list[bytes]]:
        return [frames for frames in self.taken if frames[0][:-1].decode() in topics]
