"""`chorus topic`: which topics there are, and who is at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from launch.introspection.session import Broker, look_up, make_app, watching
from launch.introspection.topic_echo import echo
from launch.introspection.topic_pub import EXAMPLE, pub
from launch.introspection.topic_watch import bw, delay, hz

app = make_app("See and send messages on topics.")
Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Such as /grid/state.")]


@app.command("list")
def list_topics(
    show_types: Annotated[
        bool, typer.Option("--show-types", "-t", help="Show the message types too.")
    ] = False,
    count: Annotated[
        bool, typer.Option("--count-topics", "-c", help="Show the number of topics only.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show how many publish and subscribe.")
    ] = False,
    broker: Broker = None,
) -> None:
    """List the topics."""
    with watching(broker) as bus:
        topics = bus.topics()
        if count:
            typer.echo(str(len(topics)))
        elif verbose:
            typer.echo(_counted("Published", "publisher", topics) + "\n")
            typer.echo(_counted("Subscribed", "subscriber", topics) + "\n")
        else:
            for name, record in topics.items():
                typer.echo(f"{name} [{record['type']}]" if show_types else name)


@app.command()
def info(
    topic: Topic,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the node and process at each end.")
    ] = False,
    broker: Broker = None,
) -> None:
    """Show the type of a topic, and how many publish and subscribe."""
    with watching(broker) as bus:
        record = look_up("topic", topic, bus.topics())
        nodes = bus.nodes() if verbose else {}
        gap = "\n" if verbose else ""
        typer.echo(f"Type: {record['type']}")
        typer.echo(f"Latched: {'yes' if record['latched'] else 'no'}{gap}")
        for word, ends in (("Publisher", record["publishers"]), ("Subscription", record["subscribers"])):
            typer.echo(f"{word} count: {len(ends)}{gap}")
            for node in ends if verbose else ():
                typer.echo(_endpoint(word, node, record, nodes.get(node, {})) + "\n")


def _counted(title: str, word: str, topics: Mapping[str, Any]) -> str:
    lines = [f"{title} topics:"]
    for name, record in topics.items():
        count = len(record[f"{word}s"])
        if count:
            lines.append(f" * {name} [{record['type']}] {count} {word}{'s' if count > 1 else ''}")
    return "\n".join(lines)


def _endpoint(word: str, node: str, record: Mapping[str, Any], process: Mapping[str, Any]) -> str:
    return "\n".join(
        (
            f"Node name: {node}",
            f"Process: {process.get('pid', 'unknown')} on {process.get('host', 'unknown')}",
            f"Topic type: {record['type']}",
            f"Topic type hash: {record['schema']}",
            f"Endpoint type: {word.upper()}",
        )
    )


for command in (echo, hz, bw, delay):
    app.command()(command)
app.command(epilog=EXAMPLE)(pub)
