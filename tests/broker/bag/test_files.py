"""Bag files: what is written is what is read, other tools read it too, and every damage is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from broker import codec
from broker.bag.errors import BagError
from broker.bag.layout import CHAIN_TOPIC, packed, unpacked
from broker.bag.ledger import Gap, Ledger
from broker.bag.reader import Bag
from broker.bag.recorded import Damage
from broker.bag.verify import verify
from broker.bag.writer import BagWriter
from broker.messages import Clock
from tests.broker.bag.bags import START_NS, flip, frames_of, observation, sample, with_foreign, write


@given(st.lists(st.binary(max_size=50), max_size=4), st.binary(max_size=50))
@settings(max_examples=50, deadline=None)
def test_frames_come_back_as_they_were_packed(arrays: list[bytes], header: bytes) -> None:
    frames = [b"/topic\0", header, *arrays]
    assert unpacked(packed(frames)) == frames


def test_a_bag_gives_back_every_byte_in_order(tmp_path: Path) -> None:
    messages = [
        (frames_of("/grid/observation/a", observation(i, width=3000), i), START_NS + i) for i in range(300)
    ]
    path = write(tmp_path / "b.mcap", messages)
    with Bag(path) as bag:
        read = list(bag.messages())
        assert [m.frames for m in read] == [frames for frames, _ in messages]
        assert [m.receive_ns for m in read] == [stamp for _, stamp in messages]
        assert bag.topics()["/grid/observation/a"].count == 300
    assert verify(path).whole


def test_a_message_that_is_none_is_a_finding_and_the_rest_is_read(tmp_path: Path) -> None:
    path = with_foreign(tmp_path / "b.mcap")
    verdict = verify(path)
    (fault,) = verdict.faults
    assert "chunk 0 at byte" in str(fault)
    assert "topic /t: message of 15 bytes: there is no topic at its beginning" in str(fault)
    assert "1 missing, sequence number 1" in str(verdict.gaps[0])
    with Bag(path) as bag:
        read = list(bag.messages())
        assert [m.origin.seq for m in (read[0], read[2]) if m.origin] == [0, 2]
        with pytest.raises(BagError, match="no message of the bus"):
            _ = read[1].frames


def test_a_topic_is_of_the_type_of_its_messages_whatever_others_put_on_it(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "b.mcap")
    clock = frames_of("/t", Clock(1, 0, 0.0), 0)
    for topic, kind, header in (("/t", "Clock", clock[1]), ("/t", "", b"?"), ("/none", "", b"?")):
        channel = writer.channel(topic, kind, codec.schema_of(Clock).hash if kind else "")
        writer.write(channel, packed([topic.encode() + b"\0", header]), 0, START_NS, START_NS)
    writer.close()
    with Bag(tmp_path / "b.mcap") as bag:
        assert (bag.topics()["/t"].type, bag.topics()["/t"].count) == ("Clock", 2)
        bag.check_schemas(["/t"])
        with pytest.raises(BagError, match="no message of /none has a header that can be read"):
            bag.check_schemas(["/none"])


def test_latched_values_before_damage_stand_for_those_in_it_if_that_is_skipped(tmp_path: Path) -> None:
    messages = [
        (frames_of("/latched", Clock(1, i, 0.0), i // 50), START_NS + i)
        if i % 50 == 0
        else (frames_of("/t", Clock(1, i, 0.0), i), START_NS + i)
        for i in range(200)
    ]
    path = write(tmp_path / "b.mcap", messages, latched=["/latched"])
    place = flip(path, 2)
    with Bag(path) as bag:
        with pytest.raises(BagError, match=f"chunk at byte {place}"):
            bag.latched_before(START_NS + 120)
        (found,) = bag.latched_before(START_NS + 120, damage=Damage.SKIP)
        assert found.frames == messages[50][0]
        assert len(list(bag.messages(from_ns=START_NS + 120, damage=Damage.SKIP))) == 50
        assert bag.skipped == 1  # the same chunk both times


def test_generic_mcap_tools_list_and_read_a_bag(tmp_path: Path) -> None:
    path = sample(tmp_path / "b.mcap")
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        kinds = {c.topic: summary.schemas[c.schema_id].name for c in summary.channels.values()}
        assert kinds["/grid/observation/a"] == "Observation"
        assert all(schema.encoding == "jsonschema" for schema in summary.schemas.values())
        assert {c.message_encoding for c in summary.channels.values()} == {"gridchorus", "json"}
        read = [message for _, channel, message in reader.iter_messages() if channel.topic != CHAIN_TOPIC]
        assert len(read) == 401
        late = list(reader.iter_messages(topics=["/grid/observation/b"], starting_at=START_NS + 200_000_000))
        assert next(m.log_time for _, _, m in late) == START_NS + 200_000_000


def test_every_flipped_bit_is_found_and_placed(tmp_path: Path) -> None:
    whole = sample(tmp_path / "b.mcap").read_bytes()
    rng = random.Random(7)
    damaged = tmp_path / "damaged.mcap"
    for number in range(120):
        where = rng.randrange(8, len(whole)) if number % 2 else len(whole) - 1 - rng.randrange(2500)
        content = bytearray(whole)
        content[where] ^= 1 << rng.randrange(8)
        damaged.write_bytes(content)
        try:
            verdict = verify(damaged)
        except BagError:
            assert where < 60, "only a header that is none makes it no bag"
            continue
        assert verdict.faults, f"byte {where} of {len(whole)}"
        assert all("damaged.mcap: " in finding.place for finding in verdict.faults)


def chunk_places(path: Path) -> list[int]:
    with Bag(path) as bag:
        return [place.offset for place in bag.files[0].outline.chunks]


def test_a_chunk_that_was_cut_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = sample(tmp_path / "b.mcap")
    places = chunk_places(path)
    content = path.read_bytes()
    path.write_bytes(content[: places[3] + 100] + content[places[3] + 400 :])
    verdict = verify(path)
    assert any(f"chunk 3 at byte {places[3]}" in str(fault) for fault in verdict.faults)
    assert any("50 missing" in str(gap) or "25 missing" in str(gap) for gap in verdict.gaps)
    assert verdict.messages == 401 - 50
    with Bag(path) as bag:
        with pytest.raises(BagError, match=r"it goes on at byte \d+: look with `chorus bag verify`"):
            list(bag.messages())
        assert len(list(bag.messages(damage=Damage.SKIP))) == 401 - 50
        assert bag.skipped == 1


def test_a_whole_chunk_that_was_taken_out_breaks_the_chain_there(tmp_path: Path) -> None:
    path = sample(tmp_path / "b.mcap")
    places = chunk_places(path)
    content = path.read_bytes()
    path.write_bytes(content[: places[2]] + content[places[3] :])
    faults = [str(fault) for fault in verify(path).faults]
    assert any(f"chunk 2 at byte {places[2]}" in f and "chunk 3 when it was recorded" in f for f in faults)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_read_up_to_its_last_whole_chunk(tmp_path: Path, share: float) -> None:
    path = sample(tmp_path / "b.mcap")
    places = chunk_places(path)
    content = path.read_bytes()
    at = places[1] + int(share * (places[-1] - places[1]))
    path.write_bytes(content[:at])
    whole = sum(place <= at for place in places) - 1  # the last one is cut
    with Bag(path) as bag:
        assert len(list(bag.messages())) >= 50 * whole
        assert "does not end with a footer" in bag.files[0].outline.index_fault
    (fault,) = verify(path).faults
    assert "it was cut, or its recorder was killed; all before is readable" in str(fault)
    with Bag(path) as bag:
        assert bag.latched_before(START_NS + 10**9, None)[0].topic == "/latched"


def test_a_message_left_out_is_named_by_topic_sender_and_number(tmp_path: Path) -> None:
    messages = [(frames_of("/t", Clock(1, i, 0.0), i), START_NS + i * 1000) for i in range(120) if i != 77]
    (gap,) = verify(write(tmp_path / "b.mcap", messages)).gaps
    assert "topic /t from simulator: 1 missing, sequence number 77" in str(gap)
    assert "chunk 1 at byte" in str(gap)


def test_a_message_that_was_changed_with_all_checksums_mended_breaks_the_chain(tmp_path: Path) -> None:
    honest = sample(tmp_path / "honest.mcap")
    with Bag(honest) as bag:
        read = list(bag.messages())
        links = [m for f in bag.files for p in f.outline.chunks for m in f.outline.messages_in(f.raw(p))]
    forged = BagWriter(tmp_path / "forged.mcap")
    forged._seal = lambda chunk: _old_link(forged, chunk, links)  # type: ignore[method-assign]
    for number, message in enumerate(read):
        channel = forged.channel(message.topic, message.type, message.schema, latched=message.latched)
        data = message.data[:-1] + b"\1" if number == 130 else message.data
        forged.write(channel, data, message.seq, message.receive_ns, message.publish_ns)
        if (number + 1) % 50 == 0:
            forged.flush()
    forged.close()
    faults = [str(fault) for fault in verify(tmp_path / "forged.mcap").faults]
    assert any("chunk 2 at byte" in f and "not those that were recorded" in f for f in faults)
    assert not any("chunk 1 at byte" in f for f in faults)


def _old_link(writer: BagWriter, chunk: object, links: list) -> str:
    """Seal a chunk with the link of the honest bag, as a forger without the messages' hash would."""
    import json

    seal = BagWriter._seal
    head = seal(writer, chunk)  # type: ignore[arg-type]
    number = len(writer._written)
    chain = [m for m in links if m.data.startswith(b'{"chunk"')]
    old = chain[number].data
    records = chunk.records  # type: ignore[attr-defined]
    at = records.rindex(b'{"chunk"')
    assert len(old) == len(records) - at
    records[at:] = old
    return json.loads(old)["sha256"] if head else head


def test_not_a_bag_is_said_so(tmp_path: Path) -> None:
    text, empty, folder = tmp_path / "a.mcap", tmp_path / "b.mcap", tmp_path / "folder"
    text.write_text("hello")
    empty.touch()
    folder.mkdir()
    for path, complaint in (
        (text, "is not a bag: the file begins with b'hello'"),
        (empty, "is not a bag: the file is empty"),
        (folder, "there is no file"),
        (tmp_path / "none", "there is no such bag"),
    ):
        with pytest.raises(BagError, match=complaint):
            Bag(path)


def test_an_mcap_file_of_others_is_told_apart(tmp_path: Path) -> None:
    from mcap.writer import Writer

    path = tmp_path / "ros.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        writer.finish()
    with pytest.raises(BagError, match=r"profile 'ros2'.* not a bag of gridchorus"):
        Bag(path)


def test_files_of_a_bag_follow_each_other_in_one_chain(tmp_path: Path) -> None:
    def part(numbers: range) -> list[tuple[list[bytes], int]]:
        return [(frames_of("/t", Clock(1, i, 0.0), i), START_NS + i) for i in numbers]

    first = write(tmp_path / "b_0.mcap", part(range(60)))
    write(tmp_path / "b_1.mcap", part(range(60, 100)), previous=verify(first).head)
    verdict = verify(tmp_path)
    assert verdict.whole
    assert verdict.messages == 100
    (tmp_path / "b_1.mcap").unlink()
    write(tmp_path / "b_1.mcap", part(range(70, 100)))
    verdict = verify(tmp_path)
    assert "the file before it ends with" in str(verdict.faults[0])
    assert "10 missing, sequence number 60 to 69" in str(verdict.gaps[0])


def test_the_ledger_counts_per_topic_sender_and_life() -> None:
    from broker.bag.layout import Origin

    def origin(seq: int, life: int = 1) -> Origin:
        return Origin("Clock", "x", "s", life, seq, 0, 0.0)

    ledger = Ledger()
    assert ledger.note("/a", origin(5)) is True  # joined later: no gap
    assert ledger.note("/b", origin(0)) is True
    assert ledger.note("/a", origin(9)) == Gap("/a", "s", 6, 8)
    assert ledger.note("/a", origin(9)) is False
    assert ledger.note("/a", origin(0, life=2)) is True
    assert dict(ledger.lost) == {"/a": 3}
    assert ledger.repeated == 1
