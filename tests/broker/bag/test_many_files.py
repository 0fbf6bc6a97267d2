"""A bag of more files than a process may open is read, verified, converted and played like any other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

from broker import Node
from broker.bag import chain, convert, rewrite, scan
from broker.bag.convert import Selection
from broker.bag.errors import BagError
from broker.bag.player import PlayerNode
from broker.bag.reader import Bag
from broker.bag.settings import PlayerSettings
from broker.bag.verify import verify
from broker.messages import Clock
from tests.broker.bag.bags import START_NS, few_files, frames_of, write

FILES = 40
MESSAGES = 3 * FILES  # on /t
SPARE = 12  # files that may be open beside those of the test itself


@pytest.fixture(params=["whole", "cut"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A latched clock, then three messages on /t in each file, a chunk for each; cut files have no index."""
    folder, head = tmp_path / "bag", chain.START
    folder.mkdir()
    for number in range(FILES):
        messages = [
            (frames_of("/t", Clock(1, seq, 0.0), seq), START_NS + seq * 1_000_000)
            for seq in range(3 * number, 3 * number + 3)
        ]
        if number == 0:
            messages.insert(0, (frames_of("/latched", Clock(1, 0, 0.0), 0), START_NS))
        path = write(
            folder / f"b_{number}.mcap", messages, latched=["/latched"], flush_every=1, previous=head
        )
        head = verify(path).head
        if request.param == "cut":
            path.write_bytes(path.read_bytes()[:-50])
    return folder


def test_it_is_verified(folder: Path) -> None:
    with few_files(SPARE):
        verdict = verify(folder)
    assert verdict.messages == MESSAGES + 1
    assert not verdict.gaps
    assert all("it was cut" in str(fault) for fault in verdict.faults)


def test_it_is_read_from_any_place(folder: Path) -> None:
    with few_files(SPARE), Bag(folder) as bag:
        assert bag.span_ns == (START_NS, START_NS + (MESSAGES - 1) * 1_000_000)
        assert [m.seq for m in bag.messages(["/t"])] == list(range(MESSAGES))
        late = START_NS + (MESSAGES - 5) * 1_000_000
        assert [m.seq for m in bag.messages(from_ns=late)] == list(range(MESSAGES - 5, MESSAGES))
        assert [m.topic for m in bag.latched_before(late)] == ["/latched"]


def test_two_readers_may_take_turns(folder: Path) -> None:
    with few_files(SPARE), Bag(folder) as bag:
        assert all(one == other for one, other in zip(bag.messages(), bag.messages(), strict=True))


def test_a_reader_that_stops_leaves_no_file_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(file: BinaryIO, place: scan.Place) -> bytes:
        time.sleep(0.002)  # the reader has stopped before the next chunk is here
        return content(file, place)

    content = scan.content
    with Bag(folder) as bag:
        monkeypatch.setattr(scan, "content", slow)
        assert next(bag.messages()).receive_ns == START_NS
        assert not [file for file in psutil.Process().open_files() if str(folder) in file.path]


def test_it_is_converted_and_merged(folder: Path, tmp_path: Path) -> None:
    with few_files(SPARE):
        with Bag(folder) as bag:
            assert convert.to_jsonl(bag, tmp_path / "b.jsonl", Selection()).messages == MESSAGES + 1
        assert rewrite.merge([folder, folder], tmp_path / "m.mcap").messages == 2 * (MESSAGES + 1)


def test_it_is_played(folder: Path) -> None:
    with few_files(SPARE), Node("player", f"memory://{folder.parent.name}") as node:
        player = PlayerNode(node, PlayerSettings(str(folder), rate=None, start_offset_s=0.02))
        assert player.run() == 0
    assert player.played == 1 + MESSAGES - 20


def test_a_file_that_is_gone_when_it_is_read_is_said(folder: Path) -> None:
    with Bag(folder) as bag:
        bag.files[5].path.unlink()
        with pytest.raises(BagError, match=r"b_5\.mcap: cannot be read: No such file"):
            list(bag.messages())
