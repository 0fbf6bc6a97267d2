"""A bus of each kind: what holds for nodes over ZeroMQ holds for nodes in threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from broker import Node
from tests.running_broker import running_broker

_numbers = itertools.count()
NodeMaker = Callable[..., Node]


@pytest.fixture(params=["memory", "ipc"])
def bus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running broker."""
    if request.param == "memory":
        yield f"memory://bus{next(_numbers)}"
        return
    with running_broker(tmp_path_factory.mktemp("bus")) as address:
        yield address


@pytest.fixture
def make_node(bus: str) -> Iterator[NodeMaker]:
    """Maker of nodes on the bus, which are closed in the end."""
    nodes: list[Node] = []

    def make(name: str) -> Node:
        nodes.append(Node(name, bus))
        return nodes[-1]

    yield make
    for node in reversed(nodes):
        node.close()


@pytest.fixture
def serving() -> Iterator[Callable[[Node], None]]:
    """Spin a node in a thread of its own until the test ends."""
    running: list[tuple[Node, threading.Thread]] = []

    def serve(node: Node) -> None:
        def work() -> None:
            while node.ok():
                node.spin(0.5)

        thread = threading.Thread(target=work)
        running.append((node, thread))
        thread.start()

    yield serve
    for node, thread in running:
        node.stop()
        thread.join(10)
        assert not thread.is_alive()
