"""A wire to the broker that a test can hold up: one gate for each of its three sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 65536  # bytes; what has been read when a gate closes waits behind it


@dataclass(frozen=True)
class Wire:
    """Where nodes find the broker behind three gates; what waits at a closed one is not lost."""

    address: str
    letters: threading.Event  # set: open
    ingress: threading.Event
    egress: threading.Event


@contextmanager
def wire(address: str, folder: Path) -> Iterator[Wire]:
    """Relay all connections to the broker at an `ipc://` address; all gates are open at first."""
    far, near = address.removeprefix("ipc://"), folder / "wire"
    with contextlib.ExitStack() as stack:
        gates = [stack.enter_context(_relay(f"{far}{end}", f"{near}{end}")) for end in ("", ".in", ".out")]
        yield Wire(f"ipc://{near}", *gates)


@contextmanager
def _relay(far: str, near: str) -> Iterator[threading.Event]:
    gate, ended = threading.Event(), threading.Event()
    gate.set()
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(target: object, *arguments: object) -> None:
        threads.append(threading.Thread(target=target, args=arguments))
        threads[-1].start()

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                here, _ = listener.accept()
                there = socket.socket(socket.AF_UNIX)
                sockets.extend([here, there])
                there.connect(far)
                start(_pump, here, there, gate)
                start(_pump, there, here, gate)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(near)
        listener.listen()
        start(accept)
        try:
            yield gate
        finally:
            ended.set()
            gate.set()
            _shut(listener)
            threads[0].join(10)
            for sock in sockets:
                _shut(sock)
            for thread in threads:
                thread.join(10)
            for sock in sockets:
                sock.close()
            assert not any(thread.is_alive() for thread in threads)


def _pump(source: socket.socket, sink: socket.socket, gate: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            gate.wait()
            sink.sendall(data)
    _shut(source), _shut(sink)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
