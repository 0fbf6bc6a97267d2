"""A bag: one file, or a folder of files that follow each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from broker.bag.errors import BagError
from broker.bag.file import BagFile, is_bag_topic
from broker.bag.layout import ENCODING
from broker.bag.recorded import Damage, Recorded
from broker.schema import BY_NAME

SUFFIX = ".mcap"
_NUMBERED = re.compile(r"(.*?)(\d+)$")


@dataclass(frozen=True)
class TopicInfo:
    """What a bag holds of a topic."""

    topic: str
    type: str
    schema: str  # hash
    latched: bool
    encoding: str
    count: int | None  # messages; None if the bag has no index


def files_of(path: Path) -> list[Path]:
    """Return the files of a bag in their order.

    Raises:
        BagError: if there is none.
    """
    if path.is_dir():
        files = sorted((p for p in path.iterdir() if p.suffix == SUFFIX), key=order_of)
        if not files:
            msg = f"{path}: is not a bag: there is no file *{SUFFIX} in this folder"
            raise BagError(msg)
        return files
    if not path.exists():
        msg = f"{path}: there is no such bag; expected an .mcap file or a folder of them"
        raise BagError(msg)
    return [path]


def order_of(path: Path) -> tuple[str, int]:
    """Return what the files of a bag are sorted by: the name, and the number at its end."""
    match = _NUMBERED.match(path.stem)
    return (match[1], int(match[2])) if match else (path.stem, -1)


class Bag:
    """A bag for reading; of its files only the one that is being read is open."""

    def __init__(self, path: Path) -> None:
        """Read what all files say of themselves.

        Raises:
            BagError: if one of them is no bag.
        """
        self.path = path
        self.files = [BagFile(file) for file in files_of(path)]

    def close(self) -> None:
        """Close what is open."""
        for file in self.files:
            file.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the first and last receive stamp, (0, 0) if there is no message."""
        spans = [file.span_ns for file in self.files if file.span_ns[1]]
        return (spans[0][0], spans[-1][1]) if spans else (0, 0)

    @property
    def skipped(self) -> int:
        """Return how many damaged chunks have been skipped since the bag was opened."""
        return sum(file.skipped for file in self.files)

    @property
    def metadata(self) -> dict[str, dict[str, str]]:
        """Return the metadata of the first file."""
        return self.files[0].outline.metadata

    def topics(self) -> dict[str, TopicInfo]:
        """Return what there is, by topic."""
        found: dict[str, TopicInfo] = {}
        for file in self.files:
            counts = file.outline.statistics.channel_message_counts if file.outline.statistics else None
            for channel in file.outline.tables.channels.values():
                if not is_bag_topic(channel):
                    continue
                schema = file.outline.tables.schemas.get(channel.schema_id)
                before = found.get(channel.topic)
                count = None if counts is None else counts.get(channel.id, 0)
                if before is not None:
                    count = None if count is None or before.count is None else count + before.count
                info = TopicInfo(
                    channel.topic,
                    schema.name if schema else "",
                    channel.metadata.get("schema_hash", ""),
                    channel.metadata.get("latched") == "true",
                    channel.message_encoding,
                    count,
                )
                if before is not None and not info.type:  # of messages without a header that can be read
                    info = replace(before, count=count)
                found[channel.topic] = info
        return dict(sorted(found.items()))

    def messages(
        self,
        topics: Collection[str] | None = None,
        from_ns: int = 0,
        damage: Damage = Damage.REFUSE,
    ) -> Iterator[Recorded]:
        """Yield the messages in the order in which they were taken in.

        Args:
            topics: only these; None: all.
            from_ns: the first receive stamp.
            damage: what to do about a damaged chunk.

        Raises:
            BagError: at a damaged chunk, if those are refused.
        """
        for file in self.files:
            if file.outline.index_fault and damage is Damage.REFUSE:
                _refuse_hole(file)
            for message in file.messages(from_ns, damage):
                if topics is None or message.topic in topics:
                    yield message

    def latched_before(
        self, until_ns: int, topics: Collection[str] | None = None, damage: Damage = Damage.REFUSE
    ) -> list[Recorded]:
        """Return the last message of every latched topic before a receive stamp, oldest first.

        Args:
            until_ns: the receive stamp.
            topics: only these; None: all.
            damage: what to do about a damaged chunk.

        Raises:
            BagError: at a damaged chunk, if those are refused.
        """
        found: dict[str, Recorded] = {}
        for file in reversed(self.files):
            file.latched_before(until_ns, found, damage)
        wanted = [m for m in found.values() if topics is None or m.topic in topics]
        return sorted(wanted, key=lambda m: m.receive_ns)

    def check_topics(self, wanted: Collection[str]) -> None:
        """Raise BagError if a topic is not in the bag."""
        known = self.topics()
        unknown = [topic for topic in wanted if topic not in known]
        if unknown:
            msg = f"{self.path}: there is no topic {', '.join(unknown)} in it; it has {', '.join(known)}"
            raise BagError(msg)

    def check_schemas(self, wanted: Collection[str]) -> None:
        """Raise BagError if a topic is of another version's schema, or not in wire bytes."""
        for topic, info in self.topics().items():
            if topic not in wanted:
                continue
            if info.encoding != ENCODING:
                msg = f"{self.path}: {topic} is encoded as {info.encoding!r}; only wire bytes can be played"
                raise BagError(msg)
            if not info.type:
                msg = (
                    f"{self.path}: no message of {topic} has a header that can be read: leave it out "
                    "(--exclude), or skip what is damaged"
                )
                raise BagError(msg)
            schema = BY_NAME.get(info.type)
            if schema is None or schema.hash != info.schema:
                here = schema.hash if schema else "no such type"
                msg = (
                    f"{self.path}: {topic} is a {info.type} of schema {info.schema}, this version of "
                    f"gridchorus has {here}: replay it with the version that recorded it"
                )
                raise BagError(msg)


def _refuse_hole(file: BagFile) -> None:
    """Refuse a file with damage in its middle; an end that is missing is no hole."""
    holes = [broken for broken in file.outline.broken if broken.resumed is not None]
    if holes:
        msg = (
            f"{file.path}: at byte {holes[0].offset} the file {holes[0].text}; it goes on at byte "
            f"{holes[0].resumed}: look with `chorus bag verify`, or skip what is damaged"
        )
        raise BagError(msg)
