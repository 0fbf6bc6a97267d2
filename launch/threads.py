"""Run a program as threads of this process, over `memory://`: the same nodes, no sockets, no processes.

For tests and for debuggers. A node that fails ends the run; nothing is restarted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from broker import Node as BusNode
from launch.errors import NodeFailedError
from launch.nodes import import_here, run_here
from launch.program import Kind, Node, Program

_TURN_S = 0.05
_GRACE_S = 15.0  # for nodes to end after the last agent has


class NodeThread(threading.Thread):
    """One node in a thread of its own."""

    def __init__(self, node: Node, address: str) -> None:
        super().__init__(name=node.name, daemon=True)
        self.node = node
        self.error: BaseException | None = None
        self._address = address
        self._bus: BusNode | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Join the bus, and run the node to its end."""
        try:
            with BusNode(self.node.name, self._address) as bus:
                self._bus = bus
                if not self._stopped.is_set():
                    run_here(self.node, bus)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Ask the node to end."""
        self._stopped.set()
        if self._bus is not None:
            self._bus.stop()


def run_threads(program: Program, meanwhile: Callable[[], None] = lambda: None) -> int:
    """Run all nodes of a program, until its agents are done.

    Args:
        program: what to run; its address is `memory://...`.
        meanwhile: called again and again while waiting.

    Returns:
        0 at a regular end.

    Raises:
        NodeFailedError: a node failed, with the node's own error as cause.
    """
    nodes = [node for node in program.nodes if node.kind != Kind.BROKER and not node.external]
    import_here(nodes)
    threads = [NodeThread(node, program.address) for node in nodes]
    with ExitStack() as stack:
        stack.callback(_stop, threads)
        for thread in threads:
            thread.start()
        finite = [thread for thread in threads if thread.node.finite]
        while any(thread.is_alive() for thread in finite):
            _raise_failure(threads)
            meanwhile()
            time.sleep(_TURN_S)
    _raise_failure(threads)
    return 0


def _stop(threads: list[NodeThread]) -> None:
    for thread in reversed(threads):
        thread.stop()
    until = time.monotonic() + _GRACE_S
    for thread in reversed([thread for thread in threads if thread.is_alive()]):
        thread.join(max(0.0, until - time.monotonic()))


def _raise_failure(threads: list[NodeThread]) -> None:
    for thread in threads:
        if thread.error is not None:
            msg = f"{thread.node.name}: {type(thread.error).__name__}: {thread.error}"
            raise NodeFailedError(msg) from thread.error
