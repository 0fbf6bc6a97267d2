"""The codec refuses what is wrong, and says what, where, what it got and what it expected."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import msgpack
import numpy as np
import pytest

from broker import codec
from broker.errors import FrameError, MessageError
from broker.messages import (
    Action,
    Advantages,
    AppliedAction,
    Clock,
    GridDescription,
    GridState,
    NodeStatus,
    Observation,
    PeerMessage,
)
from broker.schema import schema_of
from broker.strict import MAX_HEADER

ACTION = Action(1, 2, np.arange(4, dtype=np.int64))
STATUS = NodeStatus("running", 1, 0, 0, 0, 0)


def forged(message=ACTION, **changes):
    """Frames of a message with parts of its header changed: place -> new value."""
    frames = codec.encode("/t", message, sender="peer")
    header = msgpack.unpackb(frames[1])
    for place, value in changes.items():
        header[int(place.removeprefix("at_"))] = value
    return [frames[0], msgpack.packb(header), *frames[2:]]


RAW = ACTION.action.tobytes()
REFUSED = {
    "unknown type": (forged(at_0="Pickle"), r"type: got 'Pickle', expected one of \['Action'"),
    "another schema": (forged(at_1="0" * 16), r"schema of Action: got '0{16}'.*same version"),
    "sender is no text": (forged(at_2=5), r"header: got .*expected \('str'"),
    "time is an int": (forged(at_6=5), r"header: got .*expected \('str'"),
    "missing field": (forged(at_7={"epoch": 1, "tick": 2}), r"missing \['leaving', 'policy_version'\]"),
    "unknown field": (
        forged(at_7={"epoch": 1, "tick": 2, "policy_version": 0, "leaving": False, "z": 1}),
        r"unknown \['z'\]",
    ),
    "field names of two kinds": (forged(at_7={b"z": 1, "z": 1, "epoch": 1}), r"names \[b'z'\]"),
    "array named by a number, beside an unknown field": (
        forged(at_7={"z": 1}, at_8=[[5, "<i8", [4], RAW]]),
        r"Action array \(5, '<i8', \(4,\)\)",
    ),
    "array named by a map": (forged(at_8=[[{"a": 1}, "<i8", [4], RAW]]), r"Action array \(\{'a': 1\}"),
    "text in the place of its bytes": (forged(STATUS, at_8=[["note", "utf8", [3], "abc"]]), r"got no bytes"),
    "float for int": (
        forged(at_7={"epoch": 1.0, "tick": 2, "policy_version": 0, "leaving": False}),
        r"Action.epoch: got 1.0, expected int",
    ),
    "bool for int": (
        forged(at_7={"epoch": True, "tick": 2, "policy_version": 0, "leaving": False}),
        r"Action.epoch: got True, expected int",
    ),
    "object dtype": (forged(at_8=[["action", "|O", [4], RAW]]), r"\('action', '\|O', \(4,\)\).*expected"),
    "big-endian": (forged(at_8=[["action", ">i8", [4], RAW]]), r"'>i8'"),
    "too few bytes": (
        forged(at_8=[["action", "<i8", [4], RAW[:-1]]]),
        r"got 31 bytes, expected .*as many bytes",
    ),
    "too many bytes": (forged(at_8=[["action", "<i8", [4], RAW + b"x"]]), r"got 33 bytes"),
    "negative shape": (forged(at_8=[["action", "<i8", [-4], RAW]]), r"\(-4,\)"),
    "any length": (forged(at_8=[["action", "<i8", [-1], RAW]]), r"\(-1,\)"),
    "huge shape": (forged(at_8=[["action", "<i8", [2**62, 2**62], RAW]]), r"got 32 bytes"),
    "shape without dimensions": (forged(at_8=[["action", "<i8", 4, RAW]]), r"got 32 bytes"),
    "bool that is 2": (forged(at_8=[["action", "|b1", [1], b"\2"]]), r"bools 0 or 1"),
    "array twice": (forged(at_8=[["action", "<i8", [4], RAW]] * 2), r"2 arrays, .* expected 1 arrays"),
    "array missing": (forged(at_8=[]), r"missing \['action'\]"),
    "array unknown": (forged(at_8=[["action", "<i8", [4], RAW], ["b", "<i8", [4], RAW]]), r"unknown \['b'\]"),
    "scalar as array": (forged(STATUS, at_8=[["tick", "<i8", [4], RAW]]), r"misplaced \['tick'\]"),
    "frame missing": (forged(at_8=[["action", "<i8", [4], None]]), r"got no bytes"),
    "frame too many": ([*forged(), b"more"], r"1 frames after the header"),
    "header cut": (
        [b"/t\0", forged()[1][:-3]],
        r"topic /t from unknown sender: header: .* expected MessagePack",
    ),
    "header of garbage": ([b"/t\0", b"\xc1"], r"expected MessagePack"),
    "header too long": ([b"/t\0", bytes(MAX_HEADER + 1)], r"got 65537 bytes, expected at most 65536"),
    "header missing": ([b"/t\0"], r"frames: got 1, expected a topic and a header"),
    "no frames": ([], r"frames: got 0"),
    "topic without its end": ([b"/t", forged()[1]], r"topic: got b'/t', expected a NUL"),
}


@pytest.mark.parametrize("depth", [300, 1000])
@pytest.mark.parametrize("place", range(9))
def test_refuses_what_is_nested_deeper_than_python_can_print(place, depth):
    parts = [msgpack.packb(part) for part in msgpack.unpackb(forged()[1])]
    parts[place] = (b"\x91" if place == 8 else b"") + b"\x91" * depth + b"\xc0"
    with pytest.raises(FrameError, match=r"^.{20,1000}$"):
        codec.decode([b"/t\0", b"\x99" + b"".join(parts)])


def test_a_header_that_is_too_long_is_not_unpacked():
    size = 4 * 1024 * 1024
    header = b"\xdd" + size.to_bytes(4) + bytes(size)  # as many zeros
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="expected at most 65536"):
            codec.decode([b"/t\0", header])
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    frames, complaint = REFUSED[case]
    with pytest.raises(FrameError, match=complaint) as caught:
        codec.decode(frames)
    assert caught.value.sender in ("peer", "unknown sender")


def test_the_bytes_in_the_documentation_are_those_on_the_wire():
    page = (Path(__file__).parents[2] / "docs" / "messages.md").read_text()
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ){16})", page, re.MULTILINE)
    wire = bytes.fromhex("".join(lines))
    topic, nul, header = wire.partition(b"\0")
    message, about = codec.decode([topic + nul, header])
    assert (about.topic, about.sender, about.seq, about.time_s) == ("/agents/a/action", "a", 6, 0.5)
    assert (message.epoch, message.tick, message.policy_version, message.leaving) == (1, 7, 2, False)
    assert message.action.tolist() == [3, -1]


def test_refuses_another_type_than_expected():
    with pytest.raises(FrameError, match="topic /t from peer: type: got Action, expected Clock"):
        codec.decode(forged(), Clock)


def test_refuses_fields_that_disagree():
    rows = np.zeros(4, np.float32)
    message = Observation(0, 0, rows, rows[:, None], rows, rows, rows)
    frames = forged(message)
    header = msgpack.unpackb(frames[1])
    header[8][1] = ["obs", "<f4", [3, 1], bytes(12)]
    with pytest.raises(FrameError, match=r"arrays disagree on their first dimension: .*'obs': \(3,\)"):
        codec.decode([frames[0], msgpack.packb(header)])


DIMENSIONS = {  # how many each array has; of a single number, so that its bytes fit any of them
    Observation: {"measured_tick": 1, "obs": 2, "reward": 1, "terminated": 1, "truncated": 1}
    | {"mask": 2, "final_obs": 2},
    GridState: {"state": 2, "in_flight": 2, "rewards": 2, "terminated": 1, "truncated": 1}
    | {"metrics": 2, "final_state": 2},
    AppliedAction: {"verdicts": 2, "details": 2, "actions": 2},
    PeerMessage: {"content": 2},
    Advantages: {"values": 2, "advantages": 2, "returns": 2},
}
SCALARS = {"epoch": 1, "tick": 2, "widths": (1,), "critic_version": 3}


@pytest.mark.parametrize("kind", DIMENSIONS, ids=lambda kind: kind.__name__)
def test_refuses_arrays_with_more_or_fewer_dimensions(kind):
    arrays = {name: np.zeros((1,) * n, np.float32) for name, n in DIMENSIONS[kind].items()}
    scalars = {name: SCALARS[name] for name in schema_of(kind).scalars}
    assert tuple(arrays) == schema_of(kind).arrays
    good = codec.encode("/t", kind(**scalars, **arrays), sender="peer")
    assert codec.decode(good).message.__dict__.keys() == {*scalars, *arrays}
    header = msgpack.unpackb(good[1])
    for place, (name, right) in enumerate(DIMENSIONS[kind].items()):
        for wrong in {0, 1, 2, 3} - {right}:
            described = [[*entry] for entry in header[8]]
            described[place][2] = (1,) * wrong
            complaint = rf"array '{name}' has shape \(.*\), expected {right} dimension"
            with pytest.raises(FrameError, match=f"topic /t from peer: .*{complaint}"):
                codec.decode([good[0], msgpack.packb([*header[:8], described])])
            with pytest.raises(MessageError, match=complaint):
                kind(**scalars, **arrays | {name: np.zeros((1,) * wrong, np.float32)})


def test_large_arrays_are_frames_and_small_ones_ride_in_the_header():
    small = codec.encode("/t", Action(0, 0, np.zeros(512, np.int64)), sender="s")
    large = codec.encode("/t", Action(0, 0, np.zeros(513, np.int64)), sender="s")
    assert [len(small), len(large)] == [2, 3]
    assert len(large[2]) == 513 * 8


def test_text_too_long_for_a_header_travels_as_a_frame():
    text = "ω" * 100_000
    description = GridDescription(
        "g", 0, 1, 0.1, ("a", "b"), text, "{}", "{}", 1, 0, False, (), "", text, "", "lockstep"
    )
    frames = codec.encode("/t", description, sender="s")
    assert len(frames) == 4
    assert len(frames[1]) < MAX_HEADER
    assert codec.decode(frames).message == description
    with pytest.raises(FrameError, match="spaces"):
        codec.decode([*frames[:2], frames[2][:-1], frames[3]])


def test_plain_numbers_of_numpy_are_taken_and_wrong_types_are_not():
    clock = Clock(np.int64(1), np.int32(2), 3)
    assert codec.decode(codec.encode("/t", clock, sender="s")).message == Clock(1, 2, 3.0)
    with pytest.raises(MessageError, match=r"Clock.tick: got 1.5, expected int"):
        codec.encode("/t", Clock(1, 1.5, 0.0), sender="s")
    with pytest.raises(MessageError, match=r"Action.action: got <c16, expected a numpy array of <f4"):
        codec.encode("/t", Action(0, 0, np.zeros(2, np.complex128)), sender="s")
    with pytest.raises(MessageError, match=r"Action.action: got list"):
        codec.encode("/t", Action(0, 0, [1, 2]), sender="s")
    with pytest.raises(MessageError, match="cannot be packed"):
        codec.encode("/t", Clock(2**70, 0, 0.0), sender="s")


def test_an_array_that_is_not_contiguous_travels_in_order():
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    received = codec.decode(codec.encode("/t", Action(0, 0, array), sender="s"))
    np.testing.assert_array_equal(received.message.action, array)
