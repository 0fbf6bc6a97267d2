"""The thread that renews a node's lease goes on, whatever else goes wrong in its process."""

from __future__ import annotations

import errno
import json
import threading
import time
from pathlib import Path

import pytest

from broker import Node, services, vitals
from broker.endpoints import Counters
from broker.messages import RegistryRequest

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


def test_gaps_beyond_all_numbers_that_travel_do_not_stop_the_heartbeats():
    with Node("node", "memory://lease") as node:
        node.counters.lost = 2**70  # as somebody with forged sequence numbers can make it
        node.ready()
        assert node._membership._renew(5.0)
