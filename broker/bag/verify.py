"""Checks a bag: records, checksums, the hash chain, the index, and the sequence numbers of every sender."""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mcap.opcode import Opcode

from broker.bag import chain, records, scan
from broker.bag.errors import BagError
from broker.bag.file import BagFile
from broker.bag.layout import CHAIN_TOPIC, JSON, origin_of, unpacked
from broker.bag.ledger import Gap, Ledger
from broker.bag.reader import Bag
from broker.bag.scan import Place, RawMessage

_BLOCK = 1024 * 1024  # bytes read at once


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and where."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass
class Verdict:
    """What a check has found."""

    faults: list[Finding] = field(default_factory=list)  # the bag is not what was recorded
    gaps: list[Finding] = field(default_factory=list)  # the recorder did not get everything
    notes: list[Finding] = field(default_factory=list)  # worth knowing, nothing is wrong
    messages: int = 0
    chunks: int = 0
    lost: int = 0
    head: str = chain.START

    @property
    def whole(self) -> bool:
        """Return whether nothing is wrong and nothing is missing."""
        return not (self.faults or self.gaps)


def verify(path: Path) -> Verdict:
    """Check a bag.

    Args:
        path: a file or a folder of files.

    Raises:
        BagError: if it is no bag at all.
    """
    verdict, ledger = Verdict(), Ledger()
    with Bag(path) as bag:
        for number, file in enumerate(bag.files):
            with closing(file):
                _Check(file, verdict, ledger).run(first=number == 0)
    for (topic, sender, _), first in sorted(ledger.late.items()):
        text = f"topic {topic} from {sender}: begins with sequence number {first}; it joined later"
        verdict.notes.append(Finding(str(path), text))
    verdict.lost = sum(ledger.lost.values())
    return verdict


class _Check:
    """The check of one file."""

    def __init__(self, file: BagFile, verdict: Verdict, ledger: Ledger) -> None:
        self.file = file
        self.verdict = verdict
        self.ledger = ledger
        self.in_file = 0  # messages so far
        self.links = 0

    def run(self, *, first: bool) -> None:
        """Check everything."""
        file, verdict = self.file, self.verdict
        previous = file.outline.metadata.get("bag", {}).get("previous", chain.START)
        if not first and previous != verdict.head:
            text = f"follows {previous[:12]}.., but the file before it ends with {verdict.head[:12]}.."
            self._fault("file", text)
        verdict.head = previous
        if file.outline.index_fault:
            self._index_fault()
        for number, place in enumerate(file.outline.chunks):
            where = f"chunk {number} at byte {place.offset}{_when(file.chunk_span(place)[0])}"
            verdict.chunks += 1
            try:
                contents = scan.taken_apart(scan.uncompressed(scan.content(file.file, place)))
                self._chunk(where, contents)
                self._message_indexes(where, place, contents)
            except BagError as error:
                self._fault(where, str(error))
        statistics = file.outline.statistics
        if statistics is not None and statistics.message_count != self.in_file + self.links:
            text = f"counts {statistics.message_count} messages, but {self.in_file + self.links} are there"
            self._fault("index", text)
        self._data_section()
        closed = file.outline.metadata.get("closed")
        if closed is not None and closed["head"] != verdict.head:
            self._fault(
                "end", f"the chain should end with {closed['head'][:12]}.., it is {verdict.head[:12]}.."
            )

    def _index_fault(self) -> None:
        holes = [broken for broken in self.file.outline.broken if broken.resumed is not None]
        for hole in holes:
            self._fault(f"byte {hole.offset}", f"the file {hole.text}; it goes on at byte {hole.resumed}")
        ends = [broken for broken in self.file.outline.broken if broken.resumed is None]
        for end in ends:
            text = f"the file {end.text}: it was cut, or its recorder was killed; all before is readable"
            self._fault(f"byte {end.offset}", text)
        if not self.file.outline.broken:
            self._fault("index", f"cannot be used: {self.file.outline.index_fault}")

    def _chunk(self, where: str, contents: scan.Contents) -> None:
        self.file.outline.tables.add(contents.schemas, contents.channels)
        link: chain.Link | None = None
        for message in contents.messages:
            channel = self.file.outline.tables.channels.get(message.channel)
            if channel is None:
                self._fault(where, f"a message is of channel {message.channel}, which is not described")
            elif channel.topic == CHAIN_TOPIC:
                link = self._link(where, contents, message)
                self.links += 1
            else:
                self.in_file += 1
                self.verdict.messages += 1
                if channel.message_encoding != JSON:
                    self._sequence(where, channel.topic, message)
        if link is None:
            self._fault(where, "has no link of the hash chain")
        elif link.messages != self.in_file:
            text = f"the chain counts {link.messages} messages up to here, {self.in_file} are there"
            self._fault(where, text)
            self.in_file = link.messages

    def _link(self, where: str, contents: scan.Contents, message: RawMessage) -> chain.Link:
        link = chain.link_of(message.data)
        if link.previous != self.verdict.head:
            text = (
                f"the hash chain is broken: it follows {link.previous[:12]}.., not {self.verdict.head[:12]}.."
            )
            self._fault(where, text + f" (chunk {link.chunk} when it was recorded)")
        found = chain.seal(link.previous, memoryview(contents.raw)[: message.offset])
        if found != link.sha256:
            self._fault(where, "its messages are not those that were recorded: the hash is another")
        self.verdict.head = link.sha256
        return link

    def _sequence(self, where: str, topic: str, message: RawMessage) -> None:
        try:
            origin = origin_of(unpacked(message.data)[1])
        except BagError as error:
            self._fault(where, f"topic {topic}: {error}")
            return
        gap = self.ledger.note(topic, origin) if origin else True
        if isinstance(gap, Gap):
            place = f"{self.file.path.name}: {where}"
            self.verdict.gaps.append(Finding(place, str(gap)))

    def _message_indexes(self, where: str, place: Place, contents: scan.Contents) -> None:
        """Compare the indexes behind a chunk with its messages."""
        places: dict[int, list[int]] = {}
        for message in contents.messages:
            places.setdefault(message.channel, []).extend((message.receive_ns, message.offset))
        expected = b"".join(records.message_index(channel, flat) for channel, flat in places.items())
        self.file.file.seek(place.offset + 9 + place.length)
        if self.file.file.read(len(expected)) != expected:
            self._fault(where, "the message indexes behind it are not those of its messages")

    def _data_section(self) -> None:
        """Compare the checksum over everything before the index, if the file has one."""
        end = next((p for p in scan.walk(self.file.file, self.file.outline.size) if _is_data_end(p)), None)
        if not isinstance(end, Place):
            if not self.file.outline.index_fault:
                self._fault("data section", "has no record of its end")
            return
        expected = int.from_bytes(scan.content(self.file.file, end), "little")
        self.file.file.seek(0)
        crc, left = 0, end.offset
        while left > 0 and (block := self.file.file.read(min(left, _BLOCK))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        if crc != expected:
            text = f"checksum of bytes 0 to {end.offset} is {crc:08x}, expected {expected:08x}"
            where = "" if self.verdict.faults else "; not in a chunk: in the header or the metadata"
            self._fault("data section", text + where)

    def _fault(self, where: str, text: str) -> None:
        self.verdict.faults.append(Finding(f"{self.file.path.name}: {where}", text))


def _is_data_end(place: Place | scan.Broken) -> bool:
    return isinstance(place, Place) and place.opcode == Opcode.DATA_END


def _when(stamp_ns: int) -> str:
    if not stamp_ns:
        return ""
    moment = datetime.fromtimestamp(stamp_ns / 1e9, UTC)
    return f", {moment:%H:%M:%S.%f} UTC"
