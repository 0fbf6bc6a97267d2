"""Laws of the codec: what is sent is what arrives, and no bytes can do harm."""

from __future__ import annotations

import contextlib
import dataclasses

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from broker import codec, strict
from broker.errors import FrameError
from broker.messages import Action, AppliedAction, GridState, NodeStatus, Observation
from broker.peek import peek

LAWS = settings(max_examples=150, deadline=None)
DTYPES = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|b1", "|u1"])
INT64 = st.integers(-(2**63), 2**63 - 1)


def arrays(copies: int, dimensions: int) -> st.SearchStrategy[np.ndarray]:
    """Arrays of E rows: any dtype, any number of columns, none too."""
    rest = st.lists(st.integers(0, 5), min_size=dimensions - 1, max_size=dimensions - 1)
    shapes = rest.map(lambda rest: (copies, *rest))
    return st.tuples(DTYPES, shapes).flatmap(lambda kind: hnp.arrays(np.dtype(kind[0]), kind[1]))


@st.composite
def messages(draw: st.DrawFn) -> object:
    copies = draw(st.integers(0, 300))
    column, table = arrays(copies, 1), arrays(copies, 2)
    maybe = st.none() | table
    epoch, tick = draw(INT64), draw(INT64)
    match draw(st.sampled_from([Action, Observation, GridState, AppliedAction, NodeStatus])):
        case cls if cls is Action:
            anything = st.integers(1, 4).flatmap(lambda dimensions: arrays(copies, dimensions))
            return Action(epoch, tick, draw(anything), leaving=draw(st.booleans()))
        case cls if cls is Observation:
            kinds = (column, table, column, column, column, maybe, maybe)
            return Observation(epoch, tick, *map(draw, kinds))
        case cls if cls is GridState:
            kinds = (table, table, table, column, column, table, maybe)
            return GridState(epoch, tick, *map(draw, kinds))
        case cls if cls is AppliedAction:
            widths = tuple(draw(st.lists(st.integers(0, 9))))
            return AppliedAction(epoch, tick, *(draw(table) for _ in range(3)), widths)
    text = st.text(st.characters(exclude_categories=["Cs"]))
    return NodeStatus(draw(text), tick, 0, 0, 0, 0, draw(text) * draw(st.sampled_from([1, 40_000])))


def assert_same(one: object, other: object) -> None:
    assert type(one) is type(other)
    for field in dataclasses.fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert (left.dtype, left.shape) == (right.dtype, right.shape)
            assert left.tobytes() == right.tobytes()
        else:
            assert type(left) is type(right)
            assert left == right


@LAWS
@given(messages(), st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**63 - 1))
def test_what_is_encoded_is_what_is_decoded(message, sender, seq):
    frames = codec.encode("/a/b", message, sender=sender, incarnation=seq, seq=seq, time_s=1.5)
    received = codec.decode(frames, type(message))
    assert_same(message, received.message)
    assert received.header[:5] == ("/a/b", type(message).__name__, sender, seq, seq)
    assert all(not a.flags.writeable for a in vars(received.message).values() if isinstance(a, np.ndarray))


@LAWS
@given(messages())
def test_the_short_way_and_the_careful_way_agree(message):
    frames = codec.encode("/a/b", message, sender="s")
    assert_same(codec.decode(frames).message, strict.decode(frames, None)[0])


@LAWS
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_are_refused(frames):
    with pytest.raises(FrameError):
        codec.decode(frames)


@LAWS
@given(messages(), st.data())
def test_damaged_messages_are_refused_or_valid(message, data):
    frames = codec.encode("/a/b", message, sender="s")
    which = data.draw(st.integers(0, len(frames) - 1))
    damaged = bytearray(frames[which])
    for _ in range(data.draw(st.integers(1, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    frames[which] = bytes(damaged[:cut])
    try:
        received = codec.decode(frames)
    except FrameError:
        return
    codec.encode("/a/b", received.message, sender="s")  # whatever came through can travel again


NAMES = st.text("ab", max_size=3) | st.binary(max_size=3)
NESTED = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats() | st.text("ab\0", max_size=5) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
DEEP = st.sampled_from([1, 300, 1000, 1100]).map(lambda depth: b"\x91" * depth + b"\xc0")
PACKED = NESTED.map(msgpack.packb) | DEEP  # packed, because msgpack packs nothing so deep


def assert_refused_or_valid(*header: bytes) -> None:
    """Look at an Action whose header is made of some packed parts."""
    try:
        assert isinstance(codec.decode([b"/a/b\0", b"\x99" + b"".join(header)]).message, Action)
    except FrameError as error:
        assert "topic /a/b" in str(error)  # noqa: PT017 - both ways out are right
        assert len(str(error)) < 2000  # noqa: PT017


def parts() -> list[bytes]:
    frames = codec.encode("/a/b", Action(1, 2, np.zeros(3, np.int64)), sender="s")
    return [msgpack.packb(part) for part in msgpack.unpackb(frames[1])]


@LAWS
@given(st.integers(0, 8), PACKED)
def test_a_header_with_something_else_in_one_place_is_refused_or_valid(place, nonsense):
    header = parts()
    header[place] = nonsense
    assert_refused_or_valid(*header)


@LAWS
@given(st.dictionaries(NAMES, PACKED, min_size=1, max_size=3), st.data())
def test_scalars_of_any_name_and_kind_are_refused_or_valid(others, data):
    fields = {name: msgpack.packb(value) for name, value in msgpack.unpackb(parts()[7]).items()}
    wrong = data.draw(st.sampled_from(sorted(fields)) | st.none())
    fields |= others if wrong is None else {wrong: others.popitem()[1]}
    packed = b"".join(msgpack.packb(name) + value for name, value in fields.items())
    assert_refused_or_valid(*parts()[:7], bytes([0x80 + len(fields)]) + packed, parts()[8])


@LAWS
@given(st.integers(0, 3), PACKED, st.dictionaries(NAMES, st.integers(0, 3), max_size=2))
def test_arrays_of_any_name_and_kind_are_refused_or_valid(place, nonsense, others):
    array = [msgpack.packb(part) for part in ("action", "<i8", [3], bytes(24))]
    array[place] = nonsense
    scalars = msgpack.packb(msgpack.unpackb(parts()[7]) | others)
    assert_refused_or_valid(*parts()[:7], scalars, b"\x91\x94" + b"".join(array))


@LAWS
@given(st.binary(max_size=40) | PACKED, st.integers(0, 8))
def test_a_look_at_any_header_is_refused_or_valid(nonsense, place):
    header = parts()
    header[place] = nonsense
    with contextlib.suppress(FrameError):
        assert peek([b"/a/b\0", b"\x99" + b"".join(header)]).topic == "/a/b"
