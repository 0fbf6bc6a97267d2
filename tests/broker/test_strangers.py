"""What strangers put on the bus, and onlookers that stop, end neither a node nor the broker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq

from broker import Node, codec, services
from broker.bag import flow
from broker.letters import Letter, letter_topic
from broker.messages import Action, Clock, ControlReply, ControlRequest, NodeStatus, RegistryRequest
from broker.zeromq import ZeroMqBroker

pytestmark = pytest.mark.timeout(60)
DEEP = b"\x91" * 1000 + b"\xc0"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Address of a running broker."""
    broker = ZeroMqBroker(f"ipc://{tmp_path}/b")
    thread = threading.Thread(target=broker.run)
    thread.start()
    yield f"ipc://{tmp_path}/b"
    alive = thread.is_alive()
    broker.stop()
    thread.join(10)
    assert alive, "the broker has ended by itself"
    assert not thread.is_alive()


@contextmanager
def stranger(kind: int) -> Iterator[zmq.Socket]:
    """A socket that is no node's."""
    with zmq.Context() as context, context.socket(kind) as sock:
        sock.setsockopt(zmq.LINGER, 0)
        yield sock


def take(node: Node, subscription) -> int:
    """Spin until a message can be taken; return its tick."""
    deadline = time.monotonic() + 10.0
    while (received := subscription.take()) is None:
        assert time.monotonic() < deadline, "nothing came"
        node.spin(0.5)
    return received.message.tick


def test_garbage_in_the_place_of_letters_is_refused_counted_and_logged(address, caplog):
    with Node("sender", address) as sender, Node("victim", address) as victim:
        clock = sender.publisher("/clock", Clock)
        subscription = victim.subscription("/clock", Clock)
        victim.server(services.CONTROL, lambda r: ControlReply(0, 0, paused=False, detail=r.command))
        victim.ready(20.0)
        sender.ready(20.0)
        topic = letter_topic(victim._transport.route)
        rubbish = [
            [],
            [b""],
            [b"\xc1" * 40],
            [b"\x93" + DEEP + b"\x01\x80"],
            Letter("serve", 1, {}).packed(),
            Letter("serve", 1, {"service": 5, "client": b"me"}).packed(),
            Letter("answer", 1, {}).packed(),
        ]
        for frames in rubbish:
            sender._transport.publish([topic, *frames])
        clock.publish(Clock(0, 7, 0.0))
        assert take(victim, subscription) == 7
        assert victim.counters.refused == len(rubbish)
        assert "refused a message (1 so far): letter of 1 frames" in caplog.text
        serving = threading.Thread(target=lambda: [victim.spin(0.1) for _ in iter(victim.ok, False)])
        serving.start()
        try:
            assert sender.client(services.CONTROL).call(ControlRequest("hello")).detail == "hello"
        finally:
            victim.stop()
            serving.join(10)


@pytest.mark.parametrize("timeout_s", [3e6, 1e300, float("inf")])
def test_a_wait_may_be_longer_than_libzmq_can_count(address, timeout_s):
    with Node("waiting", address) as node:
        node.ready(20.0)
        timer = threading.Timer(0.1, node.stop)
        timer.start()
        while node.ok():
            node.spin(timeout_s)
        timer.join()


def test_names_that_are_no_texts_do_not_end_a_node(address):
    with Node("sender", address) as sender, Node("victim", address) as victim:
        clock = sender.publisher("/clock", Clock)
        subscription = victim.subscription("/clock", Clock)
        victim.ready(20.0)
        sender.ready(20.0)
        good = codec.encode("/clock", Clock(0, 1, 0.0), sender="sender")
        header = msgpack.unpackb(good[1])
        action = codec.encode("/clock", Action(0, 1, np.zeros(1, np.int64)), sender="sender")
        array = msgpack.unpackb(action[1])[8][0]
        wrong = [
            [*header[:7], {b"a": 1, "a": 1}, []],
            [*header[:7], {"a": 1}, [[5, *array[1:]]]],
            [*header[:7], {"a": 1}, [[{"b": 1}, *array[1:]]]],
        ]
        for parts in wrong:
            sender._transport.publish([good[0], msgpack.packb(parts)])
        clock.publish(Clock(0, 5, 0.0))
        assert take(victim, subscription) == 5
        assert victim.counters.refused == len(wrong)


def test_a_heartbeat_that_json_cannot_carry_does_not_silence_the_broker(address):
    with Node("node", address) as node, stranger(zmq.DEALER) as letters:
        node.ready(20.0)
        letters.setsockopt(zmq.ROUTING_ID, b"west:1")
        letters.setsockopt(zmq.RCVTIMEO, 10_000)
        letters.connect(address)
        me = {"node": "west", "incarnation": 1, "host": "h", "pid": 1, "route": b"west:1", "takeover": True}
        me |= {"publishes": {}, "subscribes": {}, "serves": {}}
        letters.send_multipart(Letter("register", 1, me).packed())
        assert msgpack.unpackb(letters.recv_multipart()[0])[0] == "done"
        beat = codec.encode("/nodes/west/status", NodeStatus("ready", 0, 0, 0, 0, 0), sender="west")
        start = b"\x93\xa5lease\x02\x83\xa4node\xa4west\xabincarnation\x01\xa6status\x81\xa4note"
        for value in (DEEP, msgpack.packb(b"bytes")):
            letters.send_multipart([start + value, *beat])
            kind, number, body = msgpack.unpackb(letters.recv_multipart()[0])
            assert (kind, number) == ("refused", 2)
            assert "expected the fields of a NodeStatus" in body["error"]
            records = json.loads(node.client(services.NODES).call(RegistryRequest(), 10.0).records)
            assert set(records) == {"node", "west"}


def test_for_a_stopped_subscriber_more_than_a_window_of_the_player_is_kept_but_not_all(address):
    sent = 9000
    with Node("sender", address) as sender, stranger(zmq.SUB) as stopped:
        publisher = sender.publisher("/agents/a/action", Action)
        sender.ready(20.0)
        stopped.setsockopt(zmq.RCVHWM, 1)
        stopped.setsockopt(zmq.SUBSCRIBE, b"/agents/a/action\0")
        stopped.connect(f"{address}.out")
        probe = Action(0, -1, np.zeros(1, np.int64))
        while not stopped.poll(50):  # its subscription is on its way
            publisher.publish(probe)
        rows = np.zeros(500, np.int64)  # 4 kB, so that few of them wait in the kernel
        for tick in range(sent):
            publisher.publish(Action(0, tick, rows))
            if tick % 1000 == 0:
                sender.flush(20.0)  # the broker has them all: none waits on this side
        sender.flush(20.0)
        assert sender.counters.unsent == 0
        ticks = []
        while stopped.poll(1000):
            topic, _, header = stopped.recv_multipart()[0].partition(b"\0")
            ticks.append(codec.decode([topic + b"\0", header]).message.tick)
        kept = [tick for tick in ticks if tick >= 0]
        assert kept == list(range(len(kept))), "the oldest are kept, in order"
        assert flow.WINDOW < len(kept) < 2 * flow.WINDOW
