"""`chorus topic hz`, `bw` and `delay`: measure a topic once a second, without decoding its messages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from broker.errors import FrameError
from broker.peek import peek
from launch.introspection.meters import BandwidthMeter, DelayMeter, RateMeter
from launch.introspection.observer import Arrival, Observer
from launch.introspection.session import Broker, look_up, watching

_EVERY_S = 1.0

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Such as /grid/state.")]
Window = Annotated[
    int, typer.Option("--window", "-w", min=1, metavar="N", help="Messages to average over at most.")
]
Reports = Annotated[int, typer.Option("-n", min=0, metavar="N", help="End after N reports; 0: never.")]


def hz(topic: Topic, window: Window = 10_000, reports: Reports = 0, broker: Broker = None) -> None:
    """Print the rate at which a topic is published, once a second.

    It counts the publisher's sequence numbers between the publisher's stamps: it is right for
    messages of any size, and also if this command does not keep up.
    """
    with watching(broker) as bus:
        meter = RateMeter(window)
        _measure(bus, topic, lambda arrival: meter.take(peek(arrival.frames)), meter.report, reports)


def bw(topic: Topic, window: Window = 100, reports: Reports = 0, broker: Broker = None) -> None:
    """Print the bandwidth of a topic, once a second.

    Mean size on the wire times published messages per second; KB and MB are powers of ten.
    """
    with watching(broker) as bus:
        meter = BandwidthMeter(window)

        def take(arrival: Arrival) -> None:
            meter.take(peek(arrival.frames), sum(map(len, arrival.frames)))

        _measure(bus, topic, take, meter.report, reports)


def delay(topic: Topic, window: Window = 10_000, reports: Reports = 0, broker: Broker = None) -> None:
    """Print the time from publishing to arrival here, once a second.

    Between machines it contains the difference of their clocks, which `chorus doctor` shows.
    """
    with watching(broker) as bus:
        meter = DelayMeter(window)
        _measure(bus, topic, lambda a: meter.take(peek(a.frames), a.wall_ns), meter.report, reports)


def _measure(
    bus: Observer, topic: str, take: Callable[[Arrival], None], report: Callable[[], str], reports: int
) -> None:
    record = look_up("topic", topic, bus.topics())
    if not record["publishers"]:
        sys.stderr.write(f"WARNING: topic [{topic}] does not appear to be published yet\n")
    bus.listen(topic)
    typer.echo(f"Subscribed to [{topic}]")
    due = time.monotonic() + _EVERY_S
    printed = 0
    while not reports or printed < reports:
        for arrival in bus.take(due - time.monotonic()):
            if arrival.latched:
                continue  # sent long ago
            try:
                take(arrival)
            except FrameError as error:
                sys.stderr.write(f"refused: {error}\n")
        if time.monotonic() >= due:
            due += _EVERY_S
            printed += 1
            typer.echo(report())
