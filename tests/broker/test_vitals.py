"""What the broker learns of its nodes beside their status: clocks, memory, versions; and headers alone."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import codec
from broker.endpoints import Counters, Subscription
from broker.errors import FrameError
from broker.messages import Action, Clock, PeerMessage
from broker.peek import peek
from broker.version import VERSION
from broker.vitals import Vitals


@given(
    offset_ns=st.integers(-(10**12), 10**12),
    there_ns=st.integers(0, 10**9),
    back_ns=st.integers(0, 10**9),
    sent_ns=st.integers(10**18, 2 * 10**18),
)
def test_the_true_clock_offset_lies_within_its_bound(offset_ns, there_ns, back_ns, sent_ns):
    vitals = Vitals(Counters())
    vitals.heard(sent_ns, sent_ns + there_ns - offset_ns, sent_ns + there_ns + back_ns)
    report = vitals.report()
    assert abs(report["clock_offset_s"] - offset_ns / 1e9) <= report["clock_error_s"] + 1e-6


def test_the_exchange_with_the_smallest_bound_counts():
    vitals = Vitals(Counters())
    vitals.heard(0, 700_000_000, 1_000_000_000)
    vitals.heard(2_000_000_000, 2_000_500_000, 2_001_000_000)
    vitals.heard(3_000_000_000, 3_400_000_000, 4_000_000_000)
    assert vitals.report()["clock_offset_s"] == 0.0
    assert vitals.report()["clock_error_s"] == 0.0005


def test_a_broker_that_sends_no_stamp_leaves_the_offset_open():
    vitals = Vitals(Counters())
    vitals.heard(0, None, 10)
    assert "clock_offset_s" not in vitals.report()


def test_memory_and_processor_time_are_those_of_this_process():
    vitals = Vitals(Counters())
    before = vitals.report()
    block = np.ones(20_000_000)
    after = vitals.report()
    assert after["rss_bytes"] - before["rss_bytes"] > 0.8 * block.nbytes
    assert after["cpu_s"] > before["cpu_s"]


def test_the_worst_lag_since_the_last_report_counts():
    counters = Counters()
    subscription = Subscription("/clock", Clock, 10, counters)
    frames = codec.encode("/clock", Clock(1, 2, 0.0), sender="a")
    time.sleep(0.01)
    subscription.accept(frames)
    vitals = Vitals(counters)
    assert vitals.report()["lag_s"] >= 0.01
    assert vitals.report()["lag_s"] == 0.0


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


@pytest.mark.parametrize("size", [3, 100_000])
def test_a_peek_shows_the_header_that_decoding_shows(size):
    message = PeerMessage(1, 2, np.zeros((1, size), np.float32))
    frames = codec.encode("/agents/a/message", message, sender="a", incarnation=7, seq=3, time_s=0.5)
    assert peek(frames) == codec.decode(frames).header


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        msgpack.packb(3),
        msgpack.packb([1, 2]),
        msgpack.packb(["A", "b", "c", "d", 0, 0, 0.0, {}, []]),
    ],
)
def test_a_peek_at_bytes_that_are_no_header_is_refused(header):
    with pytest.raises(FrameError):
        peek([b"/a\0", header])


@given(st.binary(max_size=60))
def test_a_peek_at_any_bytes_raises_nothing_but_a_refusal(header):
    good = codec.encode("/agents/a/action", Action(1, 2, np.zeros(2, np.int64)), sender="a")
    for bytes_ in (header, good[1][: len(header)], header + good[1]):
        try:
            peek([b"/a\0", bytes_])
        except FrameError:
            continue
