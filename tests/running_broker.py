"""A broker in a thread, for tests that need real sockets but no process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.zeromq import ZeroMqBroker


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yield the address of a broker whose sockets lie in a folder."""
    address = f"ipc://{folder}/b"
    broker = ZeroMqBroker(address)
    thread = threading.Thread(target=broker.run)
    thread.start()
    try:
        yield address
    finally:
        broker.stop()
        thread.join(10)
    assert not thread.is_alive()
