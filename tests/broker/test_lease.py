"""The thread that renews a node's lease goes on, whatever else goes wrong in its process."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker import Node, membership, services, topics, vitals
from broker.endpoints import Counters, Subscription
from broker.letters import Letter
from broker.messages import Clock, NodeStatus, RegistryRequest

pytestmark = pytest.mark.timeout(60)
NO_DESCRIPTORS = OSError(errno.EMFILE, "Too many open files")


def test_a_process_without_descriptors_reports_the_memory_it_had(monkeypatch):
    measured = vitals.Vitals(Counters())
    before = measured.report()["rss_bytes"]

    def refuse(*_: object, **__: object) -> str:
        raise NO_DESCRIPTORS

    monkeypatch.setattr(Path, "read_text", refuse)
    assert measured.report()["rss_bytes"] == before > 0


def test_a_heartbeat_that_fails_is_logged_and_the_next_one_comes(monkeypatch, caplog):
    failed = threading.Event()

    def fail() -> dict[str, float]:
        failed.set()
        raise NO_DESCRIPTORS

    with Node("node", "memory://lease") as node, Node("onlooker", "memory://lease") as onlooker:
        node.ready()
        onlooker.ready()
        report = node._membership._vitals.report
        monkeypatch.setattr(node._membership._vitals, "report", fail)
        node._membership.beat()
        assert failed.wait(20.0)
        monkeypatch.setattr(node._membership._vitals, "report", report)
        node.set_status("running", note="after that")
        deadline = time.monotonic() + 20.0
        note = ""
        while note != "after that":
            assert time.monotonic() < deadline, "no heartbeat came any more"
            records = json.loads(onlooker.client(services.NODES).call(RegistryRequest()).records)
            note = records["node"]["status"].get("note", "")
            onlooker.spin(0.1)
    assert "node: heartbeat failed" in caplog.text
    assert "Too many open files" in caplog.text


def test_a_new_state_is_told_at_once_and_not_with_the_next_renewal(monkeypatch):
    monkeypatch.setattr(membership, "RENEWAL_S", 3600.0)
    with Node("node", "memory://beat") as node, Node("onlooker", "memory://beat") as onlooker:
        statuses = onlooker.subscription(topics.status("node"), NodeStatus)
        onlooker.ready()
        node.ready()
        for state in ("ready", "running", "done"):
            if state != "ready":
                node.set_status(state)
            deadline, told = time.monotonic() + 20.0, ""
            while told != state:
                assert time.monotonic() < deadline, f"nobody heard of {state!r}"
                onlooker.spin(0.1)
                told = [told, *(r.message.state for r in iter(statuses.take, None))][-1]


@contextmanager
def late(address: str) -> Iterator[Subscription[Clock]]:
    """Join a bus, and yield what is latched on /latched."""
    with Node("late", address) as node:
        subscription = node.subscription("/latched", Clock)
        node.ready()
        yield subscription


@pytest.mark.parametrize("during", ["register", "latch"])
def test_a_value_latched_while_the_node_registers_again_stays_the_last_one(monkeypatch, during):
    address = f"memory://latched-during-{during}"
    with Node("owner", address) as owner:
        publisher = owner.publisher("/latched", Clock, latched=True)
        owner.ready()
        publisher.publish(Clock(1, 0, 0.0))
        meanwhile = threading.Thread(target=publisher.publish, args=[Clock(2, 0, 0.0)])
        request = owner._transport.request

        def slow(letter: Letter, timeout_s: float) -> Letter:
            if letter.operation == during and not meanwhile.ident:
                meanwhile.start()
                meanwhile.join(0.5)  # it ends in time if it need not wait for what is on its way
            return request(letter, timeout_s)

        monkeypatch.setattr(owner._transport, "request", slow)
        owner._membership.register(5.0)  # as after a restart of the broker, beside the main thread
        meanwhile.join(20.0)
        with late(address) as subscription:
            assert subscription.take().message.epoch == 2


def test_gaps_beyond_all_numbers_that_travel_do_not_stop_the_heartbeats():
    with Node("node", "memory://lease") as node:
        node.counters.lost = 2**70  # as somebody with forged sequence numbers can make it
        node.ready()
        assert node._membership._renew(5.0)
