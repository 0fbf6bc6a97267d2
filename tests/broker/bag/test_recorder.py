"""The recorder on a bus: nothing is missed, drops are counted, and no end of it harms the bag."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from broker import Node, codec
from broker.bag.errors import BagError
from broker.bag.reader import Bag
from broker.bag.recorder import RecorderNode, control_of
from broker.bag.settings import RecorderSettings
from broker.bag.verify import verify
from broker.errors import TopicError
from broker.messages import Clock, ControlRequest
from broker.presence import await_nodes
from tests.broker.bag.bags import Tap, chatter, in_thread, observation, until
from tests.broker.bag.processes import Process
from tests.running_broker import running_broker

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(90)]


@pytest.fixture(params=["memory", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://{tmp_path.name}"
    else:
        with running_broker(tmp_path) as found:
            yield found


@pytest.fixture
def ipc(tmp_path: Path) -> Iterator[str]:
    with running_broker(tmp_path) as found:
        yield found


def recorder(address: str, folder: Path, **settings: object) -> tuple[Node, RecorderNode]:
    node = Node("recorder", address)
    return node, RecorderNode(node, RecorderSettings(str(folder), **settings))  # type: ignore[arg-type]


def test_all_that_travels_is_recorded_byte_by_byte_in_order(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder)
    with node, Node("simulator", address) as simulator, Tap("tap", address) as tap:
        clock = simulator.publisher("/latched", Clock, latched=True)
        publishers = [
            simulator.publisher(f"/grid/observation/{agent}", type(observation(0))) for agent in "abc"
        ]
        simulator.ready(20.0)
        clock.publish(Clock(1, 0, 0.0))  # before the recorder is there
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(simulator, ["recorder"]) == []
            for tick in range(200):
                for publisher in publishers:
                    publisher.publish(observation(tick), time_s=float(tick))
            until(tap.node, lambda: len(tap.of("/grid/observation/c")) == 200)
        assert results == [0]
    names = ["/grid/observation/a", "/grid/observation/b", "/grid/observation/c"]
    with Bag(folder) as bag:
        assert [m.frames for m in bag.messages(names)] == tap.of(*names)
        (latched,) = bag.messages(["/latched"])
        assert latched.latched
        message = next(bag.messages(["/grid/observation/b"]))
        assert message.origin is not None
        assert 0 <= message.receive_ns - message.publish_ns < 10 * 10**9  # one clock
    assert verify(folder).whole


def test_drops_are_counted_in_the_bag(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder)
    with node, Node("sender", address) as sender:
        sender.publisher("/t", Clock)
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop):
            assert await_nodes(sender, ["recorder"]) == []
            for seq in (0, 1, 5, 6):
                sender.relay(codec.encode("/t", Clock(1, seq, 0.0), sender="sender", seq=seq))
            sender.relay([b"/t\0", b"no header"])
    verdict = verify(folder)
    assert verdict.lost == 3
    assert "topic /t from sender: 3 missing, sequence number 2 to 4" in str(verdict.gaps[0])
    with Bag(folder) as bag:
        closed = bag.files[0].outline.metadata["closed"]
        assert json.loads(closed["lost"]) == {"/t": 3}
        assert closed["refused"] == "1"
        assert len(list(bag.messages(["/t"]))) == 5  # the malformed one too: it is what travelled


def test_only_the_wanted_topics_are_recorded(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, topics=("/a",), regex="/b/.*", exclude=".*/not")
    with node, Node("sender", address) as sender:
        publishers = [sender.publisher(topic, Clock) for topic in ("/a", "/b/x", "/b/not", "/c")]
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop):
            assert await_nodes(sender, ["recorder"]) == []
            for publisher in publishers:
                publisher.publish(Clock(1, 1, 1.0))
    with Bag(folder) as bag:
        assert list(bag.topics()) == ["/a", "/b/x"]


def test_large_recordings_are_split_into_files_that_follow_each_other(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, max_size=20_000, flush_s=0.05, topics=("/t",))
    with node, Node("sender", address) as sender, Tap("tap", address) as tap:
        publisher = sender.publisher("/t", type(observation(0)))
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop):
            assert await_nodes(sender, ["recorder"]) == []
            until(tap.node, lambda: list(folder.glob("*")))
            for first in range(0, 90, 30):
                files = len(list(folder.iterdir()))  # before: the recorder may be done before the tap is
                for tick in range(first, first + 30):
                    publisher.publish(observation(tick, width=200))
                until(tap.node, lambda: len(tap.of("/t")) == first + 30)  # noqa: B023 - called at once
                until(tap.node, lambda: len(list(folder.iterdir())) > files)  # noqa: B023
    assert len(list(folder.glob("bag_*.mcap"))) >= 3
    verdict = verify(folder)
    assert verdict.whole
    assert verdict.messages == 90


def test_a_snapshot_keeps_the_last_seconds_and_the_latched_values(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, snapshot_s=0.3, exclude="/nodes/.*")
    with node, Node("sender", address) as sender:
        latched = sender.publisher("/latched", Clock, latched=True)
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop):
            assert await_nodes(sender, ["recorder"]) == []
            latched.publish(Clock(1, 7, 0.0))
            for tick in range(80):
                publisher.publish(Clock(1, tick, 0.0))
                sender.spin(0.01)
            reply = sender.client(control_of("recorder")).call(ControlRequest("snapshot"), 10.0)
            assert reply.detail == "bag_0.mcap"
    with Bag(folder) as bag:
        first = next(bag.messages())
        assert first.topic == "/latched"
        ticks = [codec.decode(m.frames, Clock).message.tick for m in bag.messages(["/t"])]
        assert ticks == list(range(ticks[0], 80))
        assert ticks[0] > 20
        start_ns, end_ns = bag.span_ns
        assert end_ns - start_ns <= 0.3e9


def latched_and_ticks(path: Path) -> tuple[list[str], list[int]]:
    """The topics of a snapshot in their order, /t once; and the ticks of /t."""
    with Bag(path) as bag:
        topics = list(dict.fromkeys(message.topic for message in bag.messages()))
        return topics, [codec.decode(m.frames, Clock).message.tick for m in bag.messages(["/t"])]


def test_every_snapshot_has_the_latched_values_and_all_that_came_before_it(tmp_path: Path) -> None:
    folder, address = tmp_path / "bag", f"memory://{tmp_path.name}"
    node, recording = recorder(address, folder, snapshot_s=60.0, exclude="/nodes/.*")
    with node, Node("sender", address) as sender:
        latched = sender.publisher("/latched", Clock, latched=True)
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        node.ready(20.0)
        latched.publish(Clock(1, 7, 0.0))
        for first in (0, 5):
            for tick in range(first, first + 5):
                publisher.publish(Clock(1, tick, 0.0))
            node.spin()  # the request is served in the same look, before anything has been handled
            recording._control(ControlRequest("snapshot"))
    assert latched_and_ticks(folder / "bag_0.mcap") == (["/latched", "/t"], [0, 1, 2, 3, 4])
    assert latched_and_ticks(folder / "bag_1.mcap") == (["/latched", "/t"], [5, 6, 7, 8, 9])
    assert verify(folder).whole


def test_a_recording_ends_while_others_go_on_publishing(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder)
    with node, Node("watch", address) as watch, chatter(address):
        watch.ready(20.0)
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(watch, ["recorder", "chatter"]) == []
            recording.stop()
            until(watch, lambda: results, timeout_s=8.0)
        assert results == [0]
    assert verify(folder).whole


def test_what_is_no_message_is_counted_and_spoils_nothing(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    node, recording = recorder(address, folder, topics=("/t",))
    stamped = codec.encode("/t", Clock(1, 1, 0.0), sender="foreign")
    envelope = msgpack.unpackb(stamped[1])
    envelope[5] = -1  # published before 1970
    with node, Node("sender", address) as sender:
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        with in_thread(recording.run, recording.stop) as results:
            assert await_nodes(sender, ["recorder"]) == []
            publisher.publish(Clock(1, 0, 0.0))
            sender.relay([b"/t without an end", b""])
            sender.relay([stamped[0], msgpack.packb(envelope)])
        assert results == [0]
    assert verify(folder).whole
    with Bag(folder) as bag:
        ticks = [codec.decode(m.frames, Clock).message.tick for m in bag.messages()]
        assert bag.files[0].outline.metadata["closed"]["refused"] == "1"
    assert ticks == [0, 1]


def test_a_name_that_is_in_use_leaves_no_folder(tmp_path: Path) -> None:
    address = f"memory://{tmp_path.name}"
    with Node("recorder", address) as other:
        other.ready(20.0)
        node, recording = recorder(address, tmp_path / "bag")
        with node, pytest.raises(TopicError, match="'recorder' is in use"):
            recording.run()
    assert not (tmp_path / "bag").exists()


def test_a_folder_that_cannot_be_written_is_said_at_once(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node, recording = recorder(address, tmp_path / "file" / "bag")
    with node, pytest.raises(BagError, match=r"cannot be written: .*; choose another folder"):
        recording.run()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"regex": "["}, "is no regular expression"),
        ({"max_size": 0}, "max_size is 0, expected a positive number"),
        ({"max_size": "5"}, "max_size is '5', expected a positive number"),
        ({"fluhs_s": 1}, "unknown settings"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(BagError, match=complaint):
        RecorderSettings.from_dict({"folder": "x", **settings})


def test_settings_without_a_folder_are_refused() -> None:
    with pytest.raises(BagError, match=r"RecorderSettings: settings \['folder'\] are missing"):
        RecorderSettings.from_dict({})


def test_a_killed_recorder_loses_at_most_a_second(ipc: str, tmp_path: Path) -> None:
    rng = random.Random(3)
    with Node("sender", ipc) as sender:
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        for number in range(3):
            folder = tmp_path / f"bag{number}"
            with Process(ipc, folder, topics=["/t"]) as process:
                assert await_nodes(sender, [folder.name]) == []
                end = time.monotonic() + 0.8 + 0.7 * rng.random()
                while time.monotonic() < end:
                    publisher.publish(Clock(1, 0, 0.0))
                    sender.spin(0.002)
                killed_ns = time.time_ns()
                process.send_signal(signal.SIGKILL)
                process.wait(10)
            with Bag(folder) as bag:
                read = list(bag.messages())
            assert killed_ns - read[-1].receive_ns < 1_000_000_000
            verdict = verify(folder)
            assert verdict.messages == len(read)
            assert not verdict.gaps
            assert all("cut, or its recorder was killed" in str(fault) for fault in verdict.faults)


def test_on_a_full_disk_the_recorder_stops_and_the_bag_is_whole(ipc: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    with (
        Node("sender", ipc) as sender,
        Process(ipc, folder, limit=1_000_000, topics=["/t"], flush_s=0.1) as process,
    ):
        publisher = sender.publisher("/t", type(observation(0)))
        sender.ready(20.0)
        assert await_nodes(sender, ["bag"]) == []
        sent = 0
        while process.poll() is None:
            publisher.publish(observation(sent, width=400))
            sender.spin(0.002)
            sent += 1
            assert sent < 20_000
        assert process.returncode == 1
        sender.spin(0.0)
        assert sender.ok()
    verdict = verify(folder)
    assert verdict.whole
    assert 0 < verdict.messages < sent
    with Bag(folder) as bag:
        assert bag.files[0].outline.metadata["closed"]["why"] == "full"
        assert not bag.files[0].outline.index_fault


def test_ctrl_c_ends_a_recording_with_all_that_was_under_way(ipc: str, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    with Node("sender", ipc) as sender, Process(ipc, folder, topics=["/t"]) as process:
        publisher = sender.publisher("/t", Clock)
        sender.ready(20.0)
        assert await_nodes(sender, ["bag"]) == []
        for tick in range(2000):
            publisher.publish(Clock(1, tick, 0.0))
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
    verdict = verify(folder)
    assert verdict.whole
    assert verdict.messages == 2000
