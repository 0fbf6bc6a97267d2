"""`chorus top`: the nodes at work, redrawn every second."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from broker.registry import RENEWAL_S
from launch.introspection.observer import Observer
from launch.introspection.samples import HEADINGS, Samples
from launch.introspection.session import EXIT_CODES, Broker, watching

_PATIENCE_S = 4 * RENEWAL_S  # how long --once waits for a second heartbeat of every node
_LOOK_S = 0.2
_STYLES = {"failed": "red", "running": "green", "ready": "green", "done": "dim"}

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=EXIT_CODES)
def top(
    once: Annotated[bool, typer.Option("--once", help="Print one table and end, for scripts.")] = False,
    count: Annotated[int, typer.Option("-n", min=0, metavar="N", help="End after N tables; 0: never.")] = 0,
    delay: Annotated[float, typer.Option("--delay", "-d", min=0.2, help="Time between tables, s.")] = 1.0,
    broker: Broker = None,
) -> None:
    """Show the nodes at work.

    All figures come with the nodes' heartbeats, once a second, from any machine. RATE: ticks per
    second. LAG: how old a message was when the node took it in, the worst of the last second.
    LOST: gaps in sequence numbers. CPU: share of one core. MEM: resident, shared pages included.
    Nodes that are threads of one process each show that process.
    """
    with watching(broker) as bus:
        samples = Samples()
        nodes = _first(bus, samples)
        if once or not sys.stdout.isatty():
            _print_tables(bus, samples, nodes, 1 if once else count, delay)
        else:
            _redraw(bus, samples, nodes, count, delay)


def _first(bus: Observer, samples: Samples) -> dict[str, Any]:
    """Wait until every node has sent two heartbeats, so that its rates are known."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        nodes = bus.nodes()
        samples.add(nodes)
        if samples.complete(nodes) or time.monotonic() > until:
            return nodes
        time.sleep(_LOOK_S)


def _print_tables(
    bus: Observer, samples: Samples, nodes: Mapping[str, Any], count: int, delay: float
) -> None:
    number = 1
    typer.echo(plain_table(samples, nodes))
    while number != count:
        time.sleep(delay)
        number += 1
        nodes = bus.nodes()
        samples.add(nodes)
        typer.echo("\n" + plain_table(samples, nodes))


def plain_table(samples: Samples, nodes: Mapping[str, Any]) -> str:
    """Return the table as text: names to the left, figures to the right."""
    rows = [HEADINGS, *(samples.row(name, record) for name, record in nodes.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = (
        "  ".join(
            cell.ljust(w) if _left(i) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _redraw(bus: Observer, samples: Samples, nodes: Mapping[str, Any], count: int, delay: float) -> None:
    number = 1
    with Live(_table(samples, nodes), console=Console(), auto_refresh=False, screen=not count) as live:
        while True:
            live.refresh()
            if number == count:
                return
            time.sleep(delay)
            number += 1
            nodes = bus.nodes()
            samples.add(nodes)
            live.update(_table(samples, nodes))


def _table(samples: Samples, nodes: Mapping[str, Any]) -> Table:
    table = Table(title=f"{len(nodes)} nodes, Ctrl-C ends", title_justify="left", box=None, pad_edge=False)
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if _left(index) else "right", no_wrap=True)
    for name, record in nodes.items():
        cells = [Text(cell) for cell in samples.row(name, record)]
        cells[1].stylize(_STYLES.get(cells[1].plain, "yellow" if cells[1].plain.startswith("silent") else ""))
        if record["status"].get("lost"):
            cells[HEADINGS.index("LOST")].stylize("yellow")
        table.add_row(*cells)
    return table


def _left(column: int) -> bool:
    return HEADINGS[column] in ("NODE", "STATE", "HOST")
