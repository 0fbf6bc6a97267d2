"""`chorus bag`: record, play, check and convert what travels on the bus."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.bag.errors import BagError
from broker.bag.process import serve
from broker.bag.reader import Bag
from broker.bag.recorded import Damage
from launch.introspection.address import find_broker
from launch.introspection.observer import Observer
from launch.introspection.session import Broker, guarded, make_app

app = make_app("Record, play, check and convert what travels on the bus.")

BagPath = Annotated[Path, typer.Argument(metavar="BAG", help="An .mcap file, or a folder of them.")]
Topics = Annotated[list[str] | None, typer.Option("--topics", help="These topics only; may be repeated.")]
Skip = Annotated[bool, typer.Option("--skip-damaged", help="Go on after damage, and count it.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="What is made; must not exist.")]


class Format(StrEnum):
    """What a bag can be converted to."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    json_mcap = "json-mcap"


@app.command()
def record(
    topics: Annotated[list[str] | None, typer.Argument(metavar="[TOPIC ...]", show_default=False)] = None,
    all_topics: Annotated[bool, typer.Option("--all", "-a", help="Every topic.")] = False,
    regex: Annotated[str, typer.Option("--regex", "-e", help="Topics that it matches as a whole.")] = "",
    exclude: Annotated[str, typer.Option("--exclude", "-x", help="But not those that this matches.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the bag [bag-TIME].", show_default=False)
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option("--max-size", "--max-bag-size", "-b", help="Begin a new file after so many bytes."),
    ] = None,
    max_duration: Annotated[
        float | None,
        typer.Option("--max-duration", "--max-bag-duration", "-d", help="Begin a new file after so many s."),
    ] = None,
    snapshot: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Keep the last SECONDS in memory, and write them when asked: chorus service call "
            "/NAME/control '{command: snapshot}'.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the recorder's node [recorder; recorder_PID if there is one].", show_default=False
        ),
    ] = None,
    broker: Broker = None,
) -> None:
    """Record until Ctrl-C: -a for all topics, or TOPICS, or -e REGEX."""
    with guarded():
        if not (all_topics or topics or regex):
            msg = "record: say what: -a for all topics, names of topics, or -e REGEX"
            raise BagError(msg)
        folder = output or Path(datetime.now().astimezone().strftime("bag-%Y%m%d-%H%M%S"))
        settings = {
            "folder": str(folder),
            "topics": [] if all_topics else topics or [],
            "regex": "" if all_topics else regex,
            "exclude": exclude,
            "max_size": max_size,
            "max_duration_s": max_duration,
            "snapshot_s": snapshot,
        }
        from broker.bag.recorder import build, control_of
        from broker.bag.settings import RecorderSettings

        RecorderSettings.from_dict(settings)  # is refused before the bus is looked for
        address = find_broker(broker)
        node = name or _free_name(address)
        asked = "" if snapshot is None else f" when {control_of(node).name} is asked for a snapshot"
        sys.stderr.write(f"{node} records to {folder}{asked}; Ctrl-C ends it\n")
        raise typer.Exit(serve(node, address, settings, build))


@app.command()
def play(
    bag: BagPath,
    rate: Annotated[str, typer.Option("--rate", "-r", help="Times as fast as it was, or max.")] = "1.0",
    loop: Annotated[bool, typer.Option("--loop", "-l", help="Begin again at the end.")] = False,
    start_offset: Annotated[float, typer.Option(help="Begin so many s into the bag.")] = 0.0,
    duration: Annotated[float | None, typer.Option("--duration", "-d", help="Play so many s of it.")] = None,
    topics: Topics = None,
    exclude: Annotated[str, typer.Option("--exclude", "-x", help="Not the topics that this matches.")] = "",
    remap: Annotated[list[str] | None, typer.Option("--remap", "-m", metavar="A:=B")] = None,
    paused: Annotated[bool, typer.Option("--paused", "-p", help="Begin in a pause.")] = False,
    clock: Annotated[
        float | None, typer.Option(metavar="HZ", help="Publish /clock so often, if the bag's is not played.")
    ] = None,
    follow_clock: Annotated[
        bool, typer.Option(help="Play by the /clock that another node publishes.")
    ] = False,
    skip_damaged: Skip = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Play to nodes that have heard this bag: as of new lives of its senders, else they drop it "
            "all as repeated.",
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="Of the player's node.")] = "player",
    broker: Broker = None,
) -> None:
    """Play a bag. Its service /player/control takes pause, resume, step, rate, seek, stop and status."""
    with guarded():
        settings = {
            "bag": str(bag),
            "rate": None if rate == "max" else _number(rate),
            "loop": loop,
            "start_offset_s": start_offset,
            "duration_s": duration,
            "topics": topics or [],
            "exclude": exclude,
            "remap": dict(_remapped(word) for word in remap or []),
            "paused": paused,
            "clock_hz": clock,
            "follow_clock": follow_clock,
            "skip_damaged": skip_damaged,
            "as_recorded": not again,
        }
        from broker.bag.player import build

        raise typer.Exit(serve(name, find_broker(broker), settings, build))


@app.command()
def info(bag: BagPath) -> None:
    """Show what is in a bag."""
    with guarded(), Bag(bag) as opened:
        start_ns, end_ns = opened.span_ns
        topics = opened.topics()
        known = [topic.count for topic in topics.values() if topic.count is not None]
        out = typer.echo
        for file in opened.files:
            outline = file.outline
            fault = f"  NO INDEX: {outline.index_fault}; read by its records" if outline.index_fault else ""
            out(f"File:        {file.path} ({outline.size} bytes){fault}")
        out(f"Start:       {_time(start_ns)}")
        out(f"End:         {_time(end_ns)}")
        out(f"Duration:    {(end_ns - start_ns) / 1e9:.3f} s")
        out(f"Messages:    {sum(known) if len(known) == len(topics) else 'not counted, there is no index'}")
        closed = opened.files[-1].outline.metadata.get("closed", {})
        if closed:
            lost = sum(json.loads(closed.get("lost", "{}")).values())
            out(f"Lost:        {lost} (gaps in the sequence numbers that the recorder saw)")
            out(f"Chain head:  {closed['head']}")
        _show_run(opened.metadata)
        for topic in topics.values():
            latched = " | latched" if topic.latched else ""
            count = "?" if topic.count is None else topic.count
            out(f"Topic: {topic.topic} | Type: {topic.type} | Count: {count}{latched} | {topic.encoding}")


@app.command()
def verify(bag: BagPath) -> None:
    """Check every byte, the hash chain and the sequence numbers; exit code 1 if something is wrong."""
    from broker.bag.verify import verify as check

    with guarded():
        verdict = check(bag)
        for label, found in (("FAULT", verdict.faults), ("GAP", verdict.gaps), ("note", verdict.notes)):
            for finding in found:
                typer.echo(f"{label}  {finding}")
        whole = "whole" if verdict.whole else f"{len(verdict.faults)} faults, {len(verdict.gaps)} gaps"
        counted = f"{verdict.messages} messages in {verdict.chunks} chunks, {verdict.lost} lost"
        typer.echo(f"{bag}: {whole}; {counted}; chain head {verdict.head[:16]}")
        raise typer.Exit(0 if verdict.whole else 1)


@app.command()
def convert(
    bag: BagPath,
    output: Output,
    form: Annotated[Format, typer.Option("--format", "-f", help="json-mcap is for Foxglove.")] = Format.jsonl,
    topics: Topics = None,
    skip_damaged: Skip = False,
) -> None:
    """Convert to JSON lines (a file), CSV or Parquet (a folder, a file per topic), or JSON in MCAP."""
    from broker.bag import convert as conversion
    from broker.bag import rewrite

    with guarded():
        if form is Format.json_mcap:
            made = rewrite.as_json(bag, output, topics or (), _damage(skip=skip_damaged))
            messages, skipped = made.messages, made.skipped
        else:
            writers = {
                "jsonl": conversion.to_jsonl,
                "csv": conversion.to_csv,
                "parquet": conversion.to_parquet,
            }
            with Bag(bag) as opened:
                opened.check_topics(topics or ())
                selection = conversion.Selection(topics or (), skip_damaged)
                done = writers[form.value](opened, output, selection)
            messages, skipped = done.messages, done.skipped
        typer.echo(f"{output}: {messages} messages, {skipped} skipped")


@app.command()
def merge(
    bags: Annotated[list[Path], typer.Argument(metavar="BAG ...")], output: Output, skip_damaged: Skip = False
) -> None:
    """Make one bag of several, in the order in which their messages were taken in."""
    from broker.bag import rewrite

    with guarded():
        made = rewrite.merge(bags, output, _damage(skip=skip_damaged))
        typer.echo(f"{output}: {made.messages} messages, {made.skipped} damaged chunks skipped")


@app.command("filter")
def filter_(
    bag: BagPath,
    output: Output,
    topics: Topics = None,
    regex: Annotated[str, typer.Option("--regex", "-e", help="Topics that it matches as a whole.")] = "",
    exclude: Annotated[str, typer.Option("--exclude", "-x", help="But not those that this matches.")] = "",
    start: Annotated[float, typer.Option(help="From so many s into the bag.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Up to so many s into the bag.")] = None,
    skip_damaged: Skip = False,
) -> None:
    """Make a smaller bag: some topics, some time. Latched messages from before come first."""
    from broker.bag import rewrite

    with guarded():
        wanted = rewrite.Filter(topics or (), regex, exclude, start, end)
        made = rewrite.filtered(bag, output, wanted, _damage(skip=skip_damaged))
        typer.echo(f"{output}: {made.messages} messages, {made.skipped} damaged chunks skipped")


@app.command("import")
def import_(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Measurements with a header.")],
    mapping: Annotated[Path, typer.Option("--mapping", "-m", help="YAML: columns to observations.")],
    output: Output,
) -> None:
    """Make a bag of observations from a CSV of measurements."""
    from broker.bag.csv_import import import_csv

    with guarded():
        typer.echo(f"{output}: {import_csv(table, mapping, output)} rows")


def _show_run(metadata: Mapping[str, Mapping[str, str]]) -> None:
    for name, values in metadata.items():
        if name not in ("bag", "closed"):
            text = ", ".join(f"{key}={value}" for key, value in values.items())
            typer.echo(f"Metadata:    {name}: {text[:200]}{'...' if len(text) > 200 else ''}")


def _time(stamp_ns: int) -> str:
    moment = datetime.fromtimestamp(stamp_ns / 1e9).astimezone()
    return f"{moment:%b %d %Y %H:%M:%S.%f} ({stamp_ns / 1e9:.9f})"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"--rate: got {text!r}, expected a positive number or max"
        raise BagError(msg) from None


def _remapped(word: str) -> tuple[str, Any]:
    old, sign, new = word.partition(":=")
    if not (old and sign and new):
        msg = f"--remap: got {word!r}, expected /topic/in/bag:=/topic/on/bus"
        raise BagError(msg)
    return old, new


def _free_name(address: str) -> str:
    """Return the name of a recorder that is not on the bus yet; a run with `record: true` has one."""
    with Observer(address) as bus:
        return "recorder" if "recorder" not in bus.nodes() else f"recorder_{os.getpid()}"


def _damage(*, skip: bool) -> Damage:
    return Damage.SKIP if skip else Damage.REFUSE
