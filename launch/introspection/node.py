"""`chorus node`: which nodes there are, and what each declares and counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from broker.registry import LEASE_S
from launch.introspection.samples import tick_of
from launch.introspection.session import Broker, look_up, make_app, watching

app = make_app("See the nodes of an ensemble.")


@app.command("list")
def list_nodes(
    count: Annotated[
        bool, typer.Option("--count-nodes", "-c", help="Show the number of nodes only.")
    ] = False,
    broker: Broker = None,
) -> None:
    """List the nodes."""
    with watching(broker) as bus:
        nodes = bus.nodes()
        typer.echo(str(len(nodes)) if count else "\n".join(nodes))


@app.command()
def info(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Such as simulator.")], broker: Broker = None
) -> None:
    """Show what a node publishes, takes and serves, its counters and its lease."""
    with watching(broker) as bus:
        record = look_up("node", node, bus.nodes())
        services = bus.services()
        typer.echo(node)
        for line in _facts(record):
            typer.echo(f"  {line}")
        _print_names("Subscribers", record["subscribes"].items())
        _print_names("Publishers", record["publishes"].items())
        served = ((name, types_of(services[name])) for name in record["serves"] if name in services)
        _print_names("Service Servers", served)


def types_of(service: dict[str, Any]) -> str:
    """Return the types of a service."""
    return f"{service['request']} -> {service['response']}"


def _facts(record: dict[str, Any]) -> Iterable[str]:
    status, vitals = record["status"], record["vitals"]
    yield f"Process: {record['pid']} on {record['host']}, gridchorus {record['version']}"
    yield f"Lease: renewed {record['renewed_s_ago']:.1f} s ago, runs out after {LEASE_S:g} s"
    if status:
        note = f", {status['note']}" if status["note"] else ""
        yield f"State: {status['state']}, tick {tick_of(record)}{note}"
        counts = [f"{name} {status[name]}" for name in ("sent", "received", "lost", "refused")]
        counts += [f"{name} {vitals[name]}" for name in ("unsent", "overrun") if name in vitals]
        yield f"Messages: {', '.join(counts)}"
    if vitals:
        memory = vitals["rss_bytes"] / 1e6
        yield f"Usage: {vitals['cpu_s']:.1f} s of processor time, {memory:.0f} MB of memory"


def _print_names(title: str, names: Iterable[tuple[str, str]]) -> None:
    typer.echo(f"  {title}:")
    for name, kind in names:
        typer.echo(f"    {name}: {kind}")
