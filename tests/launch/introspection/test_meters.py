"""hz, bw and delay: rates of the publisher, whatever part of its messages arrives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.codec import Header
from launch.introspection.meters import BandwidthMeter, DelayMeter, RateMeter

pytestmark = pytest.mark.timeout(60)


def header(seq, wall_s, sender="a", incarnation=1):
    return Header("/t", "Clock", sender, incarnation, seq, round(wall_s * 1e9), 0.0)


@given(
    period_s=st.floats(0.001, 0.5),
    kept=st.lists(st.integers(0, 500), min_size=2, max_size=60, unique=True).map(sorted),
)
@settings(max_examples=60, deadline=None)
def test_the_rate_is_the_publishers_whatever_arrives(period_s, kept):
    meter = RateMeter(10_000)
    for seq in kept:
        meter.take(header(seq, 1000 + seq * period_s))
    assert meter.rate() == pytest.approx(1 / period_s, rel=1e-3)
    assert meter.missed == kept[-1] - kept[0] + 1 - len(kept)


def test_the_report_has_the_lines_of_ros_and_says_what_did_not_come():
    meter = RateMeter(10_000)
    for seq in (0, 1, 2, 5):
        meter.take(header(seq, seq * 0.1))
    assert meter.report() == (
        "average rate: 10.000\n"
        "\tmin: 0.100000s max: 0.100000s std dev: 0.000000s window: 5\n"
        "\tpublished but not received here: 2 (counted in the rate)"
    )
    assert meter.report() == "no new messages"


def test_rates_of_several_publishers_add_up():
    meter = RateMeter(100)
    for seq in range(11):
        meter.take(header(seq, seq * 0.1, "a"))
        meter.take(header(seq, seq * 0.05, "b"))
    assert meter.rate() == pytest.approx(30)


def test_a_publisher_that_starts_again_is_not_taken_for_a_gap():
    meter = RateMeter(100)
    for seq in range(5):
        meter.take(header(seq, seq * 0.1))
    for seq in range(5):
        meter.take(header(seq, 100 + seq * 0.2, incarnation=2))
    assert meter.missed == 0
    assert meter.rate() == pytest.approx(5)


def test_the_window_forgets():
    meter = RateMeter(10)
    for seq in range(50):
        meter.take(header(seq, seq * 0.1))
    for seq in range(10):
        meter.take(header(50 + seq, 4.9 + (seq + 1) * 0.01))
    assert meter.rate() == pytest.approx(100)


def test_bandwidth_counts_messages_that_did_not_come_with_the_mean_size():
    meter = BandwidthMeter(100)
    for seq in (0, 1, 4):
        meter.take(header(seq, seq * 0.1), 2_000_000)
    assert meter.report() == (
        "20.00 MB/s from 3 messages\n\tMessage size mean: 2.00 MB min: 2.00 MB max: 2.00 MB"
    )


def test_delay_is_from_stamp_to_arrival():
    meter = DelayMeter(100)
    assert meter.report() == "no new messages"
    for seq, late in enumerate((0.001, 0.003)):
        meter.take(header(seq, 5.0), round((5.0 + late) * 1e9))
    assert meter.report() == (
        "average delay: 0.002000\n\tmin: 0.001000s max: 0.003000s std dev: 0.001000s window: 2"
    )


def test_hz_of_a_running_ensemble(run):
    done = run("topic", "hz", "/clock", "-n", "1")
    match = re.fullmatch(
        r"Subscribed to \[/clock]\naverage rate: (\d+\.\d{3})\n"
        r"\tmin: \d\.\d{6}s max: \d\.\d{6}s std dev: \d\.\d{6}s window: \d+\n",
        done.stdout,
    )
    assert match, done.stdout
    assert 0 < float(match[1]) <= 50  # agents take 20 ms for each tick at least


def test_bw_and_delay_of_a_running_ensemble(run):
    bandwidth = run("topic", "bw", "/grid/state", "-n", "1").stdout
    assert re.search(r"[\d.]+ K?B/s from \d+ messages\n\tMessage size mean: \d+ B min: ", bandwidth), (
        bandwidth
    )
    delay = run("topic", "delay", "/clock", "-n", "1").stdout
    assert re.search(r"average delay: \d\.\d{6}\n\tmin: \d\.\d{6}s max: ", delay), delay


def test_delay_does_not_count_what_was_latched_long_ago(run):
    assert run("topic", "delay", "/grid/description", "-n", "1").stdout.endswith("no new messages\n")
