"""The broker as a process: it dies, comes back, is absent, finds its port taken."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import Node, services
from broker.errors import ConnectionFailedError, RequestTimeoutError
from broker.messages import Clock, ControlReply, ControlRequest, RegistryRequest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]


class Brokers:
    """Broker processes, ended with the test."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, address: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "broker", "--address", address]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def brokers() -> Iterator[Brokers]:
    started = Brokers()
    yield started
    started.end()


@pytest.fixture(params=["ipc", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/b" if request.param == "ipc" else f"tcp://localhost:{free_port()}"


def free_port() -> int:
    """A port whose two neighbours are free too."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except OSError:
                continue
            return port


def test_nodes_carry_on_when_the_broker_is_killed_and_restarted(brokers, address):
    process = brokers.start(address)
    with Node("owner", address) as owner, Node("user", address) as user:
        latched = owner.publisher("/latched", Clock, latched=True)
        live = owner.publisher("/live", Clock)
        owner.server(services.CONTROL, lambda r: ControlReply(0, 0, paused=False, detail=r.command))
        subscription = user.subscription("/live", Clock)
        latest = user.subscription("/latched", Clock)
        owner.ready(20.0)
        user.ready(20.0)
        latched.publish(Clock(0, 1, 0.0))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        latched.publish(Clock(0, 2, 0.0))  # nobody is there to keep it but its owner
        brokers.start(address)
        tick = 0
        deadline = time.monotonic() + 30.0
        while subscription.take() is None:
            assert time.monotonic() < deadline, "no message after the restart"
            live.publish(Clock(0, tick, 0.0))
            tick += 1
            user.spin(0.1)
        serving = threading.Thread(target=lambda: [owner.spin(0.1) for _ in iter(owner.ok, False)])
        serving.start()
        user.client(services.CONTROL).wait(20.0)
        answer = None
        while answer is None:  # a call may get lost as long as its server is not wholly back
            assert time.monotonic() < deadline, "no call was answered after the restart"
            with contextlib.suppress(RequestTimeoutError):
                answer = user.client(services.CONTROL).call(ControlRequest("hello"))
        assert answer.detail == "hello"
        newest = 0
        while newest != 2:
            assert time.monotonic() < deadline, "the value latched during the outage did not arrive"
            user.spin(0.1)
            newest = max([newest, *(r.message.tick for r in iter(latest.take, None))])
        with Node("late", address) as late:
            joined = late.subscription("/latched", Clock)
            late.ready(20.0)
            assert joined.take().message.tick == 2
            assert '"late"' in late.client(services.NODES).call(RegistryRequest()).records
        owner.stop()
        serving.join(10)


def test_a_node_killed_and_restarted_gets_its_name_back_at_once(brokers, address):
    brokers.start(address)
    code = (
        "import sys, time; from broker import Node; n = Node('agent', sys.argv[1]); n.ready(20); "
        "print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, address]
    victim = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "up\n"
    finally:
        victim.kill()
        victim.communicate()
    deadline = time.monotonic() + 8.0  # less than a lease
    with Node("agent", address) as node:
        node.ready(max(0.1, deadline - time.monotonic()))
        assert node.ok()


def test_a_node_says_that_no_broker_answers(tmp_path):
    address = f"ipc://{tmp_path}/nobody"
    with (
        Node("lonely", address) as node,
        pytest.raises(
            ConnectionFailedError, match=f"no broker answers at {address} after 0.2 s: start one with"
        ),
    ):
        node.ready(0.2)


def test_a_node_may_start_before_its_broker(brokers, address):
    with Node("early", address) as node:
        waiting = threading.Thread(target=lambda: (time.sleep(0.3), brokers.start(address)))
        waiting.start()
        node.ready(20.0)
        waiting.join()
        assert node.ok()


def test_an_address_in_use_is_an_error(brokers, address):
    brokers.start(address)
    with Node("node", address) as node:
        node.ready(20.0)
        second = brokers.start(address)
        _, complaint = second.communicate(timeout=20)
        assert second.returncode == 1
        assert "cannot listen at" in complaint
        assert "in use" in complaint
        node.ready(20.0)  # the first broker has not been disturbed


def test_a_socket_file_that_a_killed_broker_left_is_no_obstacle(brokers, tmp_path):
    address = f"ipc://{tmp_path}/b"
    first = brokers.start(address)
    with Node("node", address) as node:
        node.ready(20.0)
    first.kill()
    first.wait(10)
    assert (tmp_path / "b").exists()
    brokers.start(address)
    with Node("node", address) as node:
        node.ready(20.0)
        assert node.ok()


def test_the_broker_ends_well_on_sigterm(brokers, address):
    process = brokers.start(address)
    with Node("node", address) as node:
        node.ready(20.0)
        process.terminate()
        assert process.wait(10) == 0


def test_stop_in_a_signal_handler_makes_spin_return(brokers, address):
    brokers.start(address)
    with Node("node", address) as node:
        node.ready(20.0)
        before = signal.signal(signal.SIGUSR1, lambda *_: node.stop())
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        started = time.monotonic()
        try:
            while node.ok():
                node.spin(30.0)
        finally:
            signal.signal(signal.SIGUSR1, before)
            timer.join()
        assert time.monotonic() - started < 5.0


def test_garbage_on_the_letters_port_does_no_harm(brokers):
    port = free_port()
    brokers.start(f"tcp://localhost:{port}")
    with Node("node", f"tcp://localhost:{port}") as node:
        node.ready(20.0)
        for offset in range(3):
            with socket.create_connection(("localhost", port + offset)) as intruder:
                intruder.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 40)
        node.ready(20.0)
        assert '"node"' in node.client(services.NODES).call(RegistryRequest()).records
