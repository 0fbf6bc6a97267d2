"""`chorus topic echo`: print what travels on a topic."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from broker import codec
from broker.codec import Header
from broker.errors import FrameError
from broker.schema import Schema
from broker.topics import check_topic
from launch.introspection.build import schema_named
from launch.introspection.errors import QuestionError
from launch.introspection.expression import Expression, parse
from launch.introspection.observer import Observer
from launch.introspection.render import as_csv, as_yaml, fields_of, without_arrays
from launch.introspection.session import Broker, look_up, watching

_TURN_S = 1.0


def echo(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as /grid/state.")],
    message_type: Annotated[
        str | None,
        typer.Argument(
            metavar="[TYPE]", help="To wait for a topic that is not there yet.", show_default=False
        ),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Only this field: obs, obs[0], header.seq, max(state).")
    ] = None,
    filter_expr: Annotated[
        str | None,
        typer.Option("--filter", metavar="EXPR", help="Only messages where this is true: 'tick % 10 == 0'."),
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="One line per message, all numbers of all arrays.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the first message.")] = False,
    count: Annotated[int, typer.Option("-n", min=0, metavar="N", help="End after N messages; 0: never.")] = 0,
    header: Annotated[
        bool, typer.Option("--header", help="Show sender, sequence number and stamps too.")
    ] = False,
    no_arr: Annotated[bool, typer.Option("--no-arr", help="Show the shapes of arrays only.")] = False,
    full_length: Annotated[
        bool, typer.Option("--full-length", "-f", help="Show arrays and texts whole.")
    ] = False,
    truncate_length: Annotated[
        int, typer.Option("--truncate-length", "-l", min=1, help="Numbers or characters shown of each field.")
    ] = 128,
    broker: Broker = None,
) -> None:
    """Print the messages on a topic.

    Fields in --field and --filter may be written as in Python, with and, or, not, comparisons,
    arithmetic, [index], abs, all, any, len, max, mean, min and sum. What a latched topic
    holds is printed at once.
    """
    with watching(broker) as bus:
        schema = _schema(bus, topic, message_type)
        names = dict.fromkeys((*schema.scalars, *schema.arrays), ()) | {"header": Header._fields}
        chosen = parse(field, names) if field is not None else None
        condition = parse(filter_expr, names) if filter_expr is not None else None
        longest = None if full_length else truncate_length

        def show(fields: dict[str, Any]) -> str:
            value: Any = chosen.value(fields) if chosen else _shown(fields, header=header)
            if no_arr and isinstance(value, dict):
                value = without_arrays(value)
            return as_csv(value) if csv else f"{as_yaml(value, longest)}\n---"

        _print(_messages(bus, topic, schema, condition), show, 1 if once else count)


def _schema(bus: Observer, topic: str, message_type: str | None) -> Schema:
    """Return what the topic carries; says on standard error if nobody publishes it."""
    topics = bus.topics()
    if message_type is not None and topic not in topics:
        check_topic(topic)
        schema = schema_named(message_type)
    else:
        record = look_up("topic", topic, topics)
        schema = schema_named(record["type"])
        if message_type not in (None, schema.name):
            msg = f"topic {topic}: carries {schema.name}, not {message_type}"
            raise QuestionError(msg)
    if not topics.get(topic, {}).get("publishers"):
        sys.stderr.write(f"WARNING: topic [{topic}] does not appear to be published yet\n")
    return schema


def _shown(fields: dict[str, Any], *, header: bool) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name != "header"}
    return {"header": fields["header"], **rest} if header else rest


def _messages(
    bus: Observer, topic: str, schema: Schema, condition: Expression | None
) -> Iterator[dict[str, Any]]:
    """Yield the fields of every message that is wanted; at the end say how many did not come."""
    last: dict[tuple[str, int], int] = {}
    lost = 0
    bus.listen(topic)
    try:
        while True:
            for arrival in bus.take(_TURN_S):
                try:
                    message, head = codec.decode(arrival.frames, schema.cls)
                except FrameError as error:
                    sys.stderr.write(f"refused: {error}\n")
                    continue
                life = (head.sender, head.incarnation)
                if head.seq <= last.get(life, -1):
                    continue  # the latched value came both ways
                lost += head.seq - last.get(life, head.seq - 1) - 1
                last[life] = head.seq
                fields = fields_of(message, head)
                if condition is None or condition.holds(fields):
                    yield fields
    finally:
        if lost:
            sys.stderr.write(
                f"{lost} messages were published but did not come here: this reader is too slow\n"
            )


def _print(messages: Iterator[dict[str, Any]], show: Callable[[dict[str, Any]], str], count: int) -> None:
    for number, fields in enumerate(messages, 1):
        typer.echo(show(fields))
        if number == count:
            return
