"""Bags to JSON lines, CSV and Parquet. What cannot be converted is an error, or is counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from broker.bag.errors import BagError
from broker.bag.file import Damage
from broker.bag.plain import Plain, plain
from broker.bag.reader import Bag

_ROWS = 10_000  # of a Parquet row group


@dataclass
class Converted:
    """What has been converted."""

    messages: int = 0
    skipped: int = 0  # messages that could not be converted, and chunks that are damaged
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Which messages are meant."""

    topics: Sequence[str] = ()  # none: all
    skip_damaged: bool = False


def to_jsonl(bag: Bag, out: Path, selection: Selection) -> Converted:
    """Write one JSON object per message and line.

    Raises:
        BagError: at a message that cannot be converted, unless those are skipped.
    """
    done = Converted(files=(out,))
    with out.open("x", encoding="utf-8") as file:
        for message in _messages(bag, selection, done):
            record = {
                "topic": message.topic,
                "type": message.type,
                "sender": message.sender,
                "seq": message.seq,
                "receive_ns": message.receive_ns,
                "publish_ns": message.publish_ns,
                "time_s": message.time_s,
                "message": message.listed(),
            }
            file.write(json.dumps(record) + "\n")
    return done


def to_csv(bag: Bag, out: Path, selection: Selection) -> Converted:
    """Write a folder of one CSV file per topic, a column per number.

    Raises:
        BagError: at a message that cannot be converted, unless those are skipped.
    """
    return _per_topic(bag, out, selection, ".csv", _write_csv)


def to_parquet(bag: Bag, out: Path, selection: Selection) -> Converted:
    """Write a folder of one Parquet file per topic, a column per number.

    Raises:
        BagError: without pyarrow, or at a message that cannot be converted, unless those are skipped.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        msg = "Parquet needs pyarrow, which is not installed: pip install 'gridchorus[parquet]', or use csv"
        raise BagError(msg) from None
    return _per_topic(bag, out, selection, ".parquet", _write_parquet)


def _per_topic(
    bag: Bag,
    out: Path,
    selection: Selection,
    suffix: str,
    write: Callable[[Path, list[str], Iterator[Plain]], None],
) -> Converted:
    out.mkdir(parents=True)
    done, files = Converted(), []
    for topic in selection.topics or bag.topics():
        one = Selection([topic], selection.skip_damaged)
        columns: dict[str, None] = {}
        for message in _messages(bag, one, Converted()):
            columns |= {name: None for name, _ in message.columns()}
        path = out / (topic.strip("/").replace("/", ".") + suffix)
        write(path, list(columns), _messages(bag, one, done))
        files.append(path)
    done.files = tuple(files)
    return done


def _messages(bag: Bag, selection: Selection, done: Converted) -> Iterator[Plain]:
    skip = selection.skip_damaged
    for message in bag.messages(selection.topics or None, 0, Damage.SKIP if skip else Damage.REFUSE):
        try:
            found = plain(message)
        except BagError as error:
            if not skip:
                msg = f"{bag.path}: {error}; --skip-damaged goes on without it, and counts"
                raise BagError(msg) from None
            done.skipped += 1
            continue
        done.messages += 1
        yield found
    done.skipped += bag.skipped


def _write_csv(path: Path, columns: list[str], messages: Iterator[Plain]) -> None:
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for message in messages:
            writer.writerow(dict(message.columns()))


def _write_parquet(path: Path, columns: list[str], messages: Iterator[Plain]) -> None:
    import pyarrow
    from pyarrow import parquet

    writer, schema = None, None
    try:
        while rows := _up_to(messages, _ROWS):
            blank = dict.fromkeys(columns)
            table = pyarrow.Table.from_pylist([{**blank, **row} for row in rows], schema=schema)
            if writer is None:
                schema = table.schema
                writer = parquet.ParquetWriter(path, schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _up_to(messages: Iterator[Plain], count: int) -> list[dict[str, object]]:
    return [dict(message.columns()) for message in islice(messages, count)]
