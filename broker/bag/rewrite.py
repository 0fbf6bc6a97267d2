"""New bags from old ones: merged, filtered, or with their messages as JSON."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from broker.bag.errors import BagError
from broker.bag.layout import JSON
from broker.bag.making import making
from broker.bag.plain import plain
from broker.bag.reader import Bag
from broker.bag.recorded import Damage, Recorded
from broker.bag.settings import check_regex
from broker.bag.writer import BagWriter


@dataclass(frozen=True)
class Filter:
    """Which messages go into the new bag."""

    topics: Sequence[str] = ()  # none and no regex: all
    regex: str = ""
    exclude: str = ""
    start_s: float = 0.0  # since the beginning of the bag
    end_s: float | None = None

    def __post_init__(self) -> None:
        check_regex("filter: regex", self.regex)
        check_regex("filter: exclude", self.exclude)

    def wants(self, topic: str) -> bool:
        """Say whether a topic is kept."""
        if self.exclude and re.fullmatch(self.exclude, topic):
            return False
        everything = not self.topics and not self.regex
        return everything or topic in self.topics or bool(self.regex and re.fullmatch(self.regex, topic))


@dataclass
class Rewritten:
    """What has been written."""

    messages: int = 0
    skipped: int = 0  # damaged chunks, and messages that could not be converted


def merge(paths: Sequence[Path], out: Path, damage: Damage = Damage.REFUSE) -> Rewritten:
    """Write one bag with the messages of several, in the order of their receive stamps.

    Raises:
        BagError: if one of them cannot be read, or the new one not be written.
    """
    with ExitStack() as stack:
        bags = [stack.enter_context(Bag(path)) for path in paths]
        streams = [bag.messages(damage=damage) for bag in bags]
        made = {"made": {"by": "merge", "from": json.dumps([str(path) for path in paths])}}
        done = _write(out, heapq.merge(*streams, key=lambda m: m.receive_ns), {**bags[0].metadata, **made})
        done.skipped = sum(bag.skipped for bag in bags)
    return done


def filtered(path: Path, out: Path, wanted: Filter, damage: Damage = Damage.REFUSE) -> Rewritten:
    """Write a bag with some of the messages of another; latched ones from before its start come first.

    Raises:
        BagError: if it cannot be read, has no such topic, or the new one cannot be written.
    """
    with Bag(path) as bag:
        bag.check_topics(wanted.topics)
        topics = [topic for topic in bag.topics() if wanted.wants(topic)]
        if not topics:
            msg = f"{path}: no topic of it is wanted; it has {', '.join(bag.topics())}"
            raise BagError(msg)
        first_ns = bag.span_ns[0]
        start_ns = first_ns + int(wanted.start_s * 1e9)
        end_ns = None if wanted.end_s is None else first_ns + int(wanted.end_s * 1e9)

        def messages() -> Iterator[Recorded]:
            for message in bag.latched_before(start_ns, topics, damage):
                yield message._replace(receive_ns=start_ns)
            for message in bag.messages(topics, start_ns, damage):
                if end_ns is not None and message.receive_ns > end_ns:
                    return
                yield message

        made = {"made": {"by": "filter", "from": str(path)}}
        done = _write(out, messages(), {**bag.metadata, **made})
        done.skipped = bag.skipped
    return done


def as_json(path: Path, out: Path, topics: Sequence[str] = (), damage: Damage = Damage.REFUSE) -> Rewritten:
    """Write a bag whose messages are JSON objects, which generic MCAP tools can plot.

    Raises:
        BagError: if it cannot be read, a message not be converted and not be skipped, or the new one not be
            written.
    """
    unreadable = 0

    def converted(messages: Iterator[Recorded]) -> Iterator[Recorded]:
        nonlocal unreadable
        for message in messages:
            try:
                text = json.dumps(plain(message).listed()).encode()
            except BagError as error:
                if damage is Damage.REFUSE:
                    msg = f"{path}: {error}; --skip-damaged goes on without it, and counts"
                    raise BagError(msg) from None
                unreadable += 1
                continue
            yield message._replace(encoding=JSON, data=text)

    with Bag(path) as bag:
        bag.check_topics(topics)
        made = {"made": {"by": "convert", "from": str(path)}}
        messages = converted(bag.messages(topics or None, damage=damage))
        done = _write(out, messages, {**bag.metadata, **made})
        done.skipped = bag.skipped + unreadable
    return done


def _write(out: Path, messages: Iterator[Recorded], metadata: dict[str, dict[str, str]]) -> Rewritten:
    kept = {name: values for name, values in metadata.items() if name not in ("bag", "closed")}
    done = Rewritten()
    with making(out) as part:
        writer = BagWriter(part, kept)
        try:
            for message in messages:
                channel = writer.channel(
                    message.topic,
                    message.type,
                    message.schema,
                    latched=message.latched,
                    encoding=message.encoding,
                )
                writer.write(channel, message.data, message.seq, message.receive_ns, message.publish_ns)
                done.messages += 1
        except BaseException:
            writer.close()
            raise
        writer.finish()
    return done
