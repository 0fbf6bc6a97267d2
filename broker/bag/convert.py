"""Bags to JSON lines, CSV and Parquet. What cannot be converted is an error, or is counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from broker.bag.errors import BagError
from broker.bag.making import making
from broker.bag.plain import Plain, plain
from broker.bag.reader import Bag
from broker.bag.recorded import Damage

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
        BagError: at a message that cannot be converted, unless those are skipped; or if there is no room.
    """
    done = Converted(files=(out,))
    with making(out) as part, part.open("x", encoding="utf-8") as file:
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
    done.skipped += bag.skipped
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
    done, names = Converted(), []
    with making(out) as part:
        part.mkdir(parents=True)
        for topic in selection.topics or bag.topics():
            one = Selection([topic], selection.skip_damaged)
            columns: dict[str, None] = {}
            for message in _messages(bag, one, Converted()):
                columns |= {name: None for name, _ in message.columns()}
            names.append(topic.strip("/").replace("/", ".") + suffix)
            write(part / names[-1], list(columns), _messages(bag, one, done))
    done.files = tuple(out / name for name in names)
    done.skipped += bag.skipped
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
