"""`chorus topic pub`: publish messages that are written on the command line."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, Any

import typer

from broker import Node
from broker.schema import Schema
from launch.introspection.address import find_broker
from launch.introspection.build import message_from, schema_named
from launch.introspection.errors import QuestionError
from launch.introspection.observer import Observer
from launch.introspection.session import Broker, guarded

EXAMPLE = "Example: chorus topic pub --once /agents/a/action Action '{epoch: 1, tick: 3, action: [0, 2]}'"
_READY_S = 5.0


def pub(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as /agents/a/action.")],
    message_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as Action.")],
    values: Annotated[
        str, typer.Argument(metavar="[VALUES]", help="Fields as YAML or JSON.", show_default=False)
    ] = "{}",
    once: Annotated[bool, typer.Option("--once", "-1", help="Publish one message and exit.")] = False,
    times: Annotated[
        int, typer.Option("--times", "-t", min=0, help="Publish so often; 0: until Ctrl-C.")
    ] = 0,
    rate: Annotated[float, typer.Option("--rate", "-r", help="Messages per second.")] = 1.0,
    nth: Annotated[int, typer.Option("--print", "-p", min=0, help="Print every N-th message; 0: none.")] = 1,
    wait: Annotated[
        int, typer.Option("--wait-matching-subscriptions", "-w", min=0, help="Wait for so many subscribers.")
    ] = 0,
    latched: Annotated[
        bool, typer.Option("--latched", help="Keep it for those who join later, until this command ends.")
    ] = False,
    broker: Broker = None,
) -> None:
    """Publish messages on a topic.

    Arrays are nested lists: <i8 of integers, |b1 of booleans, else <f4; or {dtype: <f8, data: [...]}.
    """
    with guarded():
        if not rate > 0:
            msg = f"--rate: got {rate:g}, expected messages per second > 0"
            raise QuestionError(msg)
        schema = schema_named(message_type)
        message = message_from(values, schema)
        address = find_broker(broker)
        _check_type(address, topic, schema, wait)
        with Node(f"cli-{os.getpid()}", address) as node:
            publisher = node.publisher(topic, schema.cls, latched=latched)
            node.ready(_READY_S)
            _repeat(node, publisher, message, 1 if once else times, 1.0 / rate, nth)


def _check_type(address: str, topic: str, schema: Schema, wait: int) -> None:
    """Refuse another type than the topic's; wait for subscribers."""
    with Observer(address) as bus:
        while True:
            record = bus.topics().get(topic)
            if record is not None and record["type"] != schema.name:
                msg = f"topic {topic}: carries {record['type']}, not {schema.name}"
                raise QuestionError(msg)
            here = len(record["subscribers"]) if record else 0
            if here >= wait:
                return
            sys.stderr.write(f"Waiting for at least {wait} matching subscription(s), {here} so far\n")
            time.sleep(1.0)


def _repeat(node: Node, publisher: Any, message: Any, times: int, period_s: float, nth: int) -> None:
    typer.echo("publisher: beginning loop")
    start, count = time.monotonic(), 0
    while node.ok():
        count += 1
        publisher.publish(message)
        if nth and count % nth == 0:
            typer.echo(f"publishing #{count}: {message!r}\n")
        if count == times:
            return
        while node.ok() and (left := start + count * period_s - time.monotonic()) > 0:
            node.spin(left)
