"""What the tests of bags share: messages, bags made of them, and a bus in a thread."""

from __future__ import annotations

import os
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from broker import Node, codec
from broker.bag.layout import origin_of, packed
from broker.bag.reader import Bag
from broker.bag.writer import BagWriter
from broker.messages import Clock, GridState, NodeStatus, Observation

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


def with_foreign(path: Path) -> Path:
    """Three messages on /t; the second is none, for its first frame has no NUL."""
    writer = BagWriter(path)
    for number in range(3):
        frames = frames_of("/t", Clock(1, number, 0.0), number)
        origin = origin_of(frames[1])
        assert origin is not None
        data = struct.pack("<2I", 1, 7) + b"foreign" if number == 1 else packed(frames)
        writer.write(writer.channel("/t", origin.type, origin.schema), data, number, START_NS, START_NS)
    writer.close()
    return path


def flip(path: Path, chunk: int) -> int:
    """Damage a chunk; returns where it begins."""
    with Bag(path) as bag:
        place = bag.files[0].outline.chunks[chunk].offset
    content = bytearray(path.read_bytes())
    content[place + 200] ^= 1
    path.write_bytes(content)
    return place


def sample(path: Path, count: int = 400, period_ns: int = 1_000_000) -> Path:
    """A latched clock first, then observations of two topics, one per period."""
    messages = [(frames_of("/latched", Clock(1, 0, 0.0), 0), START_NS)]
    for number in range(count):
        topic = f"/grid/observation/{'ab'[number % 2]}"
        frames = frames_of(topic, observation(number), number // 2)
        messages.append((frames, START_NS + (number + 1) * period_ns))
    return write(path, messages, latched=["/latched"])


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


@contextmanager
def room(limit: int) -> Iterator[None]:
    """A full disk: no file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def few_files(spare: int) -> Iterator[None]:
    """This process may open so many files more, and one more is too many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(spare)]
    for number in free:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def chatter(address: str) -> Iterator[None]:
    """A node that publishes on /chatter at some 50 Hz and does not stop."""
    ending = threading.Event()

    def talk() -> None:
        with Node("chatter", address) as node:
            publisher = node.publisher("/chatter", Clock)
            node.ready(20.0)
            while not ending.is_set():
                publisher.publish(Clock(1, 0, 0.0))
                node.spin(0.02)

    with in_thread(talk, ending.set):
        yield


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

    def states(self, node: str) -> list[NodeStatus]:
        """What a node has said of itself."""
        return [codec.decode(frames, NodeStatus).message for frames in self.of(f"/nodes/{node}/status")]

    def of(self, *topics: str) -> list[list[bytes]]:
        return [frames for frames in self.taken if frames[0][:-1].decode() in topics]
