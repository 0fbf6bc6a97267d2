"""docs/wire.md: its bytes are the bytes that travel, its hashes are those of this version."""

from __future__ import annotations

import re
from pathlib import Path

import msgpack
import numpy as np

from broker import codec
from broker.letters import unpack
from broker.messages import Action, NodeStatus, Observation
from broker.schema import BY_NAME

TEXT = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
LINE = re.compile(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?){1,16}) ", re.MULTILINE)


def dumps() -> list[bytes]:
    blocks = [block for block in TEXT.split("```")[1::2] if LINE.search(block)]
    return [bytes.fromhex("".join(LINE.findall(block))) for block in blocks]


def received(dump: bytes) -> codec.Received:
    topic, _, header = dump.partition(b"\0")
    return codec.decode([topic + b"\0", header])


def test_the_documented_bytes_are_the_documented_messages() -> None:
    action, observation, lease, status = dumps()
    found = received(action)
    assert isinstance(found.message, Action)
    assert found.message.action.tolist() == [3, 0]
    assert (found.header.topic, found.header.seq) == ("/agents/west/action", 6)
    seen = received(observation).message
    assert isinstance(seen, Observation)
    assert seen.obs.tolist() == [[0.5, 1.0], [0.25, -1.0]]
    assert np.array_equal(seen.mask, [[True, False, True], [True, True, False]])
    assert isinstance(received(status).message, NodeStatus)
    letter = unpack([lease])
    assert (letter.operation, letter.id, letter.body["node"]) == ("lease", 2, "west")


def test_our_own_codec_writes_the_documented_bytes() -> None:
    action = dumps()[0]
    found = received(action)
    frames = codec.encode(
        found.header.topic,
        found.message,
        sender=found.header.sender,
        incarnation=found.header.incarnation,
        seq=found.header.seq,
        time_s=found.header.time_s,
    )
    written, documented = msgpack.unpackb(frames[1]), msgpack.unpackb(action.partition(b"\0")[2])
    assert [*written[:5], *written[6:]] == [*documented[:5], *documented[6:]]  # all but the wall clock


def test_the_documented_schema_hashes_are_those_of_this_version() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| `([0-9a-f]{16})` \|$", TEXT, re.MULTILINE))
    assert len(documented) == 9
    for name, digest in documented.items():
        assert BY_NAME[name].hash == digest
