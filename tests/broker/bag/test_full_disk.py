"""What the disk refuses is said and counted, and what is on it stays readable."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import Node
from broker.bag import convert, rewrite
from broker.bag.errors import BagError
from broker.bag.making import making
from broker.bag.reader import Bag
from broker.bag.recorder import RecorderNode, control_of
from broker.bag.settings import RecorderSettings
from broker.bag.verify import verify
from broker.bag.writer import BagWriter
from broker.errors import ServiceError
from broker.messages import ControlRequest, Observation
from broker.presence import await_nodes
from tests.broker.bag.bags import Tap, in_thread, observation, room, sample, until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}"


def recorder(address: str, folder: Path, **settings: object) -> tuple[Node, RecorderNode]:
    node = Node("recorder", address)
    return node, RecorderNode(node, RecorderSettings(str(folder), topics=("/t",), **settings))  # type: ignore[arg-type]


def failure(tap: Tap) -> str:
    """What the recorder says of its end."""
    until(tap.node, lambda: [s for s in tap.states("recorder") if s.state == "failed"])
    return next(s.note for s in tap.states("recorder") if s.state == "failed")


def test_what_the_last_flush_could_not_write_is_an_error_that_counts(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, flush_s=1000.0)
    with node, Tap("tap", address) as tap, Node("sender", address) as sender:
        publisher = sender.publisher("/t", Observation)
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(sender, ["recorder"]) == []
            for tick in range(100):
                publisher.publish(observation(tick))
            status = sender.client(control_of("recorder"))
            until(tap.node, lambda: '"messages": 100' in status.call(ControlRequest("status"), 10.0).detail)
            with room((folder / "bag_0.mcap").stat().st_size + 4000):
                recording.stop()
                until(tap.node, lambda: results)
        assert results == [1]
        assert "recording stopped: File too large; 0 messages of 100 are in it" in failure(tap)
    assert verify(folder).whole
    with Bag(folder) as bag:
        assert bag.files[0].outline.metadata["closed"]["why"] == "full"


def test_a_disk_that_has_no_room_for_the_next_file_ends_the_recording(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: object) -> BagWriter:
        if path.name != "bag_0.mcap":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return BagWriter(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("broker.bag.recording.BagWriter", full)
    node, recording = recorder(address, tmp_path / "bag", flush_s=0.05, max_size=5000)
    with node, Tap("tap", address) as tap, Node("sender", address) as sender:
        publisher = sender.publisher("/t", Observation)
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(sender, ["recorder"]) == []
            for tick in range(30):
                publisher.publish(observation(tick, width=200))
            until(tap.node, lambda: results)
        assert results == [1]
        assert "recording stopped: No space left on device; " in failure(tap)
    assert verify(tmp_path / "bag").whole


def test_a_snapshot_for_which_there_is_no_room_can_be_asked_for_again(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, snapshot_s=60.0)
    with node, Node("sender", address) as sender:
        publisher = sender.publisher("/t", Observation)
        sender.ready(20.0)
        client = sender.client(control_of("recorder"))
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(sender, ["recorder"]) == []
            for tick in range(100):
                publisher.publish(observation(tick))
            with room(4000), pytest.raises(ServiceError, match="File too large; there is no new file"):
                client.call(ControlRequest("snapshot"), 10.0)
            assert list(folder.iterdir()) == []
            publisher.publish(observation(100))
            assert client.call(ControlRequest("snapshot"), 10.0).detail == "bag_0.mcap"
            publisher.publish(observation(101))  # kept, not recorded
        assert results == [0]
    verdict = verify(folder)
    assert verdict.whole
    assert verdict.messages == 101


@pytest.mark.parametrize("limit", [0, 60])
def test_a_file_that_cannot_be_begun_is_not_left_behind(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "b.mcap"
    with room(limit), pytest.raises(OSError, match="File too large"):
        BagWriter(path, {"run": {"name": "x" * 100}})
    assert not path.exists()


def test_a_file_that_is_closed_short_of_messages_says_so(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "b.mcap")
    channel = writer.channel("/t", "Clock", "x")
    for number in range(100):
        writer.write(channel, os.urandom(100), number, number, number)
    with room(writer.size + 2000), pytest.raises(OSError, match="File too large"):
        writer.finish()
    assert writer.messages == 0
    assert writer.close() == 0
    assert verify(tmp_path / "b.mcap").whole


def to_jsonl(path: Path, out: Path) -> None:
    with Bag(path) as bag:
        convert.to_jsonl(bag, out, convert.Selection())


def to_csv(path: Path, out: Path) -> None:
    with Bag(path) as bag:
        convert.to_csv(bag, out, convert.Selection())


MAKERS: dict[str, Callable[[Path, Path], object]] = {
    "jsonl": to_jsonl,
    "csv": to_csv,
    "json-mcap": rewrite.as_json,
    "merge": lambda path, out: rewrite.merge([path], out),
    "filter": lambda path, out: rewrite.filtered(path, out, rewrite.Filter()),
}


@pytest.mark.parametrize("form", MAKERS)
def test_what_cannot_be_made_whole_is_not_left_behind(tmp_path: Path, form: str) -> None:
    path = sample(tmp_path / "b.mcap")
    with room(4000), pytest.raises(BagError, match="out: cannot be written: File too large"):
        MAKERS[form](path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(out: Path) -> None:
    with making(out) as part:
        part.write_text("half")
        assert not out.exists()
        raise ZeroDivisionError


def test_what_is_made_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ZeroDivisionError):
        fail_halfway(out)
    assert list(tmp_path.iterdir()) == []
    with making(out) as part:
        part.write_text("whole")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]
    with pytest.raises(BagError, match="exists already"):
        fail_halfway(out)
    with pytest.raises(BagError, match="cannot be written: there is no folder"):
        fail_halfway(tmp_path / "nowhere" / "out")
