"""What nodes promise of their messages holds on a wire of any speed, also on one that is held up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from broker import Node, zeromq
from broker.endpoints import Subscription
from broker.errors import ConnectionFailedError
from broker.messages import Clock, PeerMessage
from tests.broker.relay import Wire, wire
from tests.running_broker import running_broker

pytestmark = pytest.mark.timeout(60)
SOON_S = 1.0  # long enough for whoever does not wait for the wire to go on without it


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[str]:
    """Address of a running broker."""
    with running_broker(tmp_path) as address:
        yield address


@pytest.fixture
def held(direct: str, tmp_path: Path) -> Iterator[Wire]:
    """A wire to that broker."""
    with wire(direct, tmp_path) as held:
        yield held


def ticks(node: Node, subscription: Subscription, number: int) -> list[int]:
    """Return the ticks of so many messages."""
    deadline, found = time.monotonic() + 20.0, []
    while len(found) < number:
        assert time.monotonic() < deadline, f"only {found} came"
        node.spin(0.2)
        found += [received.message.tick for received in iter(subscription.take, None)]
    return found


def test_a_node_is_not_ready_before_its_subscriptions_are_at_the_broker(direct, held):
    with Node("sender", direct) as sender, Node("receiver", held.address) as receiver:
        clock = sender.publisher("/clock", Clock)
        subscription = receiver.subscription("/clock", Clock)
        sender.ready(20.0)
        held.egress.clear()
        with pytest.raises(ConnectionFailedError):
            receiver.ready(SOON_S)
        held.egress.set()
        receiver.ready(20.0)
        clock.publish(Clock(0, 7, 0.0))
        assert ticks(receiver, subscription, 1) == [7]


def test_a_node_is_not_ready_before_what_it_publishes_passes_the_broker(direct, held):
    with Node("sender", held.address) as sender, Node("receiver", direct) as receiver:
        clock = sender.publisher("/clock", Clock)
        subscription = receiver.subscription("/clock", Clock)
        receiver.ready(20.0)
        held.ingress.clear()
        with pytest.raises(ConnectionFailedError):
            sender.ready(SOON_S)
        held.ingress.set()
        sender.ready(20.0)
        clock.publish(Clock(0, 7, 0.0))
        assert ticks(receiver, subscription, 1) == [7]


def test_flush_returns_only_when_all_has_passed_the_broker(direct, held):
    with Node("sender", held.address) as sender, Node("receiver", direct) as receiver:
        clock = sender.publisher("/clock", Clock)
        subscription = receiver.subscription("/clock", Clock)
        receiver.ready(20.0)
        sender.ready(20.0)
        held.ingress.clear()
        clock.publish(Clock(0, 7, 0.0))
        with pytest.raises(ConnectionFailedError):
            sender.flush(SOON_S)
        held.ingress.set()
        sender.flush(20.0)
        assert ticks(receiver, subscription, 1) == [7]


def test_who_finds_no_room_waits_then_counts_the_message_as_unsent_and_the_others_arrive(
    direct, held, monkeypatch
):
    assert zeromq._SEND_S == 5.0, "as docs/messages.md says"
    monkeypatch.setattr(zeromq, "_SEND_S", 0.3)
    with Node("sender", held.address) as sender, Node("receiver", direct) as receiver:
        publisher = sender.publisher("/agents/a/message", PeerMessage)
        subscription = receiver.subscription("/agents/a/message", PeerMessage)
        receiver.ready(20.0)
        sender.ready(20.0)
        sender._transport._publisher.setsockopt(zmq.SNDHWM, 10)
        held.ingress.clear()
        content, left, waited_s = np.zeros((1, 65536), np.float32), [], 0.0
        while sender.counters.unsent < 2:
            assert len(left) < 100, "25 MB have found room where there is none"
            unsent, began = sender.counters.unsent, time.monotonic()
            publisher.publish(PeerMessage(0, len(left) + unsent, content))
            if sender.counters.unsent == unsent:
                left.append(len(left) + unsent)
            else:
                waited_s = time.monotonic() - began
        assert waited_s >= 0.25
        held.ingress.set()
        assert ticks(receiver, subscription, len(left)) == left
        publisher.publish(PeerMessage(0, 1000, content))
        assert ticks(receiver, subscription, 1) == [1000]
        assert receiver.counters.lost == 2
