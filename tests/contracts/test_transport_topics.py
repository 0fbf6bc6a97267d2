"""Topics, over every transport."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest

from broker import Node, codec, topics
from broker.errors import MessageError, TopicError
from broker.messages import Action, Clock, Observation


def wait_for(node: Node, subscription, timeout_s: float = 5.0):
    """Spin until something can be taken."""
    deadline = time.monotonic() + timeout_s
    while (received := subscription.take()) is None and time.monotonic() < deadline:
        node.spin(0.5)
    assert received is not None, f"nothing came on {subscription.topic}"
    return received


def observation(copies: int, features: int) -> Observation:
    return Observation(
        epoch=3,
        tick=9,
        measured_tick=np.arange(copies, dtype=np.int64),
        obs=np.arange(copies * features, dtype=np.float32).reshape(copies, features),
        reward=np.full(copies, -0.5, np.float32),
        terminated=np.zeros(copies, np.bool_),
        truncated=np.ones(copies, np.bool_),
    )


@pytest.mark.parametrize("copies", [0, 1, 8, 400], ids=["none", "one", "in the header", "in frames"])
def test_a_message_arrives_as_it_was_sent(make_node, copies):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher(topics.observation("a"), Observation)
    subscription = receiver.subscription(topics.observation("a"), Observation)
    receiver.ready()
    sender.ready()
    sent = observation(copies, 100)
    publisher.publish(sent, time_s=4.5)
    message, header = wait_for(receiver, subscription)
    assert (header.topic, header.sender, header.seq, header.time_s) == (
        "/grid/observation/a",
        "sender",
        0,
        4.5,
    )
    assert (message.epoch, message.tick, message.mask) == (3, 9, None)
    for name in ("measured_tick", "obs", "reward", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(message, name), getattr(sent, name))
        assert not getattr(message, name).flags.writeable


def test_nothing_is_lost_and_order_is_kept_in_a_burst(make_node):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher("/clock", Clock)
    subscription = receiver.subscription("/clock", Clock, keep=5000)
    receiver.ready()
    sender.ready()
    for tick in range(3000):
        publisher.publish(Clock(0, tick, 0.0))
    ticks = [wait_for(receiver, subscription).message.tick for _ in range(3000)]
    assert ticks == list(range(3000))
    assert receiver.counters.lost == 0
    assert receiver.counters.received == sender.counters.sent == 3000


def test_a_topic_does_not_match_a_longer_one(make_node):
    sender, receiver = make_node("sender"), make_node("receiver")
    longer = sender.publisher("/grid/state_estimate", Clock)
    exact = sender.publisher("/grid/state", Clock)
    subscription = receiver.subscription("/grid/state", Clock)
    receiver.ready()
    sender.ready()
    longer.publish(Clock(0, 1, 0.0))
    exact.publish(Clock(0, 2, 0.0))
    assert wait_for(receiver, subscription).message.tick == 2
    assert subscription.take() is None


def test_a_late_joiner_gets_the_latched_value_once(make_node):
    early, late = make_node("early"), make_node("late")
    publisher = early.publisher("/clock", Clock, latched=True)
    publisher.publish(Clock(0, 1, 0.0))
    early.ready()
    publisher.publish(Clock(0, 2, 0.0))
    subscription = late.subscription("/clock", Clock)
    late.ready()
    late.ready()  # asks again, gets the same again
    assert subscription.take().message.tick == 2
    assert subscription.take() is None
    publisher.publish(Clock(0, 3, 0.0))
    assert wait_for(late, subscription).message.tick == 3
    assert late.counters.lost == 0


def test_the_latched_value_outlives_an_error_that_ends_its_owner(make_node):
    make_node("witness").ready()  # a bus in memory lives as long as it has nodes
    owner = make_node("owner")
    owner.publisher("/clock", Clock, latched=True).publish(Clock(0, 7, 0.0))
    owner.ready()
    with contextlib.suppress(ZeroDivisionError), owner:
        raise ZeroDivisionError
    late = make_node("late")
    subscription = late.subscription("/clock", Clock)
    late.ready()
    assert subscription.take().message.tick == 7


def test_the_latched_value_outlives_a_crash_of_its_owner_but_not_its_leaving(make_node):
    owner = make_node("owner")
    owner.publisher("/clock", Clock, latched=True).publish(Clock(0, 7, 0.0))
    owner.ready()
    restarted = make_node("owner")
    subscription = restarted.subscription("/clock", Clock)
    restarted.ready(takeover=True)
    assert subscription.take().message.tick == 7
    restarted.close()
    late = make_node("late")
    subscription = late.subscription("/clock", Clock)
    late.ready()
    assert subscription.take() is None


def test_a_subscription_made_later_is_in_force_after_ready(make_node):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher("/clock", Clock)
    sender.ready()
    receiver.ready()
    subscription = receiver.subscription("/clock", Clock)
    receiver.ready()
    publisher.publish(Clock(0, 1, 0.0))
    assert wait_for(receiver, subscription).message.tick == 1


def test_gaps_in_the_sequence_are_counted_as_loss(make_node):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher("/clock", Clock)
    subscription = receiver.subscription("/clock", Clock)
    receiver.ready()
    sender.ready()
    publisher.publish(Clock(0, 0, 0.0))
    publisher._seq += 3
    publisher.publish(Clock(0, 1, 0.0))
    wait_for(receiver, subscription)
    wait_for(receiver, subscription)
    assert (subscription.lost, receiver.counters.lost) == (3, 3)


def test_a_restart_of_the_sender_is_no_loss(make_node):
    receiver = make_node("receiver")
    subscription = receiver.subscription("/clock", Clock)
    receiver.ready()
    for life in range(2):
        sender = make_node("sender")
        publisher = sender.publisher("/clock", Clock)
        sender.ready()
        publisher._seq = 100 * life
        publisher.publish(Clock(life, 0, 0.0))
        assert wait_for(receiver, subscription).message.epoch == life
        sender.close()
    assert receiver.counters.lost == 0


def test_a_full_subscription_keeps_the_newest(make_node):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher("/clock", Clock)
    last = sender.publisher("/last", Clock)
    subscription = receiver.subscription("/clock", Clock, keep=2)
    end = receiver.subscription("/last", Clock)
    receiver.ready()
    sender.ready()
    for tick in range(5):
        publisher.publish(Clock(0, tick, 0.0))
    last.publish(Clock(0, 0, 0.0))
    wait_for(receiver, end)
    assert [subscription.take().message.tick, subscription.take().message.tick] == [3, 4]
    assert receiver.counters.overrun == 3
    assert receiver.counters.lost == 0


def test_malformed_messages_are_refused_and_counted_and_the_node_lives(make_node, caplog):
    sender, receiver = make_node("sender"), make_node("receiver")
    publisher = sender.publisher("/clock", Clock)
    subscription = receiver.subscription("/clock", Clock)
    receiver.ready()
    sender.ready()
    good = codec.encode("/clock", Clock(0, 1, 0.0), sender="sender")
    wrong_type = codec.encode("/clock", Action(0, 1, np.zeros(2, np.int64)), sender="sender")
    for frames in (
        [good[0], b""],
        [good[0], b"\xc1" * 40],
        [good[0], good[1][:-1]],
        [*good, b"x"],
        wrong_type,
    ):
        sender._transport.publish(frames)
    publisher.publish(Clock(0, 5, 0.0))
    assert wait_for(receiver, subscription).message.tick == 5
    assert receiver.counters.refused == 5
    assert receiver.counters.received == 1
    assert 1 <= caplog.text.count("refused a message") <= 2, "at most once a second per sender"


def test_stop_from_another_thread_makes_spin_return(make_node):
    node = make_node("waiting")
    node.ready()
    timer = threading.Timer(0.1, node.stop)
    started = time.monotonic()
    timer.start()
    node.spin(30.0)
    timer.join()
    assert time.monotonic() - started < 5.0
    assert not node.ok()
    assert not node.spin(30.0)


def test_close_from_another_thread_waits_for_spin(make_node):
    node = make_node("waiting")
    node.ready()
    timer = threading.Timer(0.1, node.close)
    timer.start()
    while node.ok():
        node.spin(30.0)
    timer.join(10)
    assert not timer.is_alive()


def test_names_and_types_are_checked_at_once(make_node):
    node = make_node("node")
    publisher = node.publisher("/clock", Clock)
    with pytest.raises(TopicError, match="no topic or service name"):
        node.publisher("clock", Clock)
    with pytest.raises(TopicError, match="publisher for it already"):
        node.publisher("/clock", Clock)
    with pytest.raises(MessageError, match=r"/clock: got a Action, expected a Clock"):
        publisher.publish(Action(0, 0, np.zeros(1, np.int64)))
    with pytest.raises(MessageError, match="no message type"):
        node.subscription("/x", dict)
    with pytest.raises(TopicError, match="no node name"):
        make_node("a/b")


def test_two_types_on_one_topic_are_refused(make_node):
    first, second = make_node("first"), make_node("second")
    first.publisher("/clock", Clock)
    first.ready()
    second.subscription("/clock", Action)
    with pytest.raises(TopicError, match=r"topic /clock: node second declares Action .* node first"):
        second.ready()
