"""A recorder that is started again: its files follow those before, and only what was cut off is wrong."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from broker import Node
from broker.bag import chain
from broker.bag.recorder import RecorderNode
from broker.bag.settings import RecorderSettings
from broker.bag.succession import head_before, head_of, next_path
from broker.bag.verify import verify
from broker.messages import Clock
from broker.presence import await_nodes
from tests.broker.bag.bags import START_NS, frames_of, in_thread, sample, write
from tests.broker.bag.processes import Process
from tests.running_broker import running_broker

pytestmark = pytest.mark.timeout(90)


def test_a_restarted_recorder_goes_on_with_the_chain(tmp_path: Path) -> None:
    address, folder = f"memory://{tmp_path.name}", tmp_path / "bag"
    with Node("sender", address) as sender:
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        for life in range(3):
            with Node("recorder", address) as node:
                recording = RecorderNode(node, RecorderSettings(str(folder), topics=("/t",)))
                with in_thread(recording.run, recording.stop) as results:
                    assert await_nodes(sender, ["recorder"]) == []
                    for tick in range(10):
                        publisher.publish(Clock(1, 10 * life + tick, 0.0))
                assert results == [0]
    verdict = verify(folder)
    assert [str(finding) for finding in verdict.faults + verdict.gaps] == []
    assert verdict.messages == 30
    assert sorted(path.name for path in folder.iterdir()) == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]


@pytest.mark.ensemble
def test_after_a_kill_the_cut_is_all_that_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    with running_broker(tmp_path) as address, Node("sender", address) as sender:
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        for end in (signal.SIGKILL, signal.SIGINT):
            with Process(address, folder, topics=["/t"], flush_s=0.05) as process:
                while not (folder.exists() and sum(p.stat().st_size > 2000 for p in folder.iterdir())):
                    publisher.publish(Clock(1, 0, 0.0))
                    sender.spin(0.01)
                publisher.publish(Clock(1, 0, 0.0))
                process.send_signal(end)
                process.wait(20)
    faults = [str(fault) for fault in verify(folder).faults]
    assert len(faults) == 1
    assert "bag_0.mcap" in faults[0]
    assert "it was cut, or its recorder was killed" in faults[0]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_the_head_of_a_file_that_was_cut_is_where_verify_arrives(tmp_path: Path, share: float) -> None:
    path = sample(tmp_path / "b.mcap")
    assert head_of(path) == verify(path).head
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert head_of(path) == verify(path).head


def test_a_file_without_messages_passes_on_what_it_follows(tmp_path: Path) -> None:
    head = "7" * 64
    assert head_of(write(tmp_path / "b_0.mcap", [], previous=head)) == head


def test_a_new_file_follows_the_newest_that_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    assert head_before(folder, "b") == chain.START
    folder.mkdir()
    assert next_path(folder, "b").name == "b_0.mcap"
    second = write(folder / "b_1.mcap", [(frames_of("/t", Clock(1, 0, 0.0), 0), START_NS)])
    (folder / "b_12.mcap").touch()
    (folder / "b_x.mcap").touch()
    assert next_path(folder, "b").name == "b_13.mcap"
    assert head_before(folder, "b") == verify(second).head
