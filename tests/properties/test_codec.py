"""Laws of the codec: what is sent is what arrives, and no bytes can do harm."""

from __future__ import annotations

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

LAWS = settings(max_examples=150, deadline=None)
DTYPES = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|b1", "|u1"])
INT64 = st.integers(-(2**63), 2**63 - 1)


def arrays(copies: int) -> st.SearchStrategy[np.ndarray]:
    """Arrays of E rows: any dtype, any number of columns, none too."""
    shapes = st.lists(st.integers(0, 5), max_size=3).map(lambda rest: (copies, *rest))
    return st.tuples(DTYPES, shapes).flatmap(lambda kind: hnp.arrays(np.dtype(kind[0]), kind[1]))


@st.composite
def messages(draw: st.DrawFn) -> object:
    copies = draw(st.integers(0, 300))
    array = arrays(copies)
    maybe = st.none() | array
    epoch, tick = draw(INT64), draw(INT64)
    match draw(st.sampled_from([Action, Observation, GridState, AppliedAction, NodeStatus])):
        case cls if cls is Action:
            return Action(epoch, tick, draw(array), leaving=draw(st.booleans()))
        case cls if cls is Observation:
            return Observation(epoch, tick, *(draw(array) for _ in range(5)), draw(maybe), draw(maybe))
        case cls if cls is GridState:
            return GridState(epoch, tick, *(draw(array) for _ in range(6)), draw(maybe))
        case cls if cls is AppliedAction:
            widths = tuple(draw(st.lists(st.integers(0, 9))))
            return AppliedAction(epoch, tick, draw(array), draw(array), draw(array), widths)
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


NESTED = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats() | st.text("ab\0", max_size=5) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@LAWS
@given(st.integers(0, 8), NESTED)
def test_a_header_with_something_else_in_one_place_is_refused_or_valid(place, nonsense):
    frames = codec.encode("/a/b", Action(1, 2, np.zeros(3, np.int64)), sender="s")
    header = msgpack.unpackb(frames[1])
    header[place] = nonsense
    frames[1] = msgpack.packb(header)
    try:
        assert isinstance(codec.decode(frames).message, Action)
    except FrameError as error:
        assert "topic /a/b" in str(error)  # noqa: PT017 - both ways out are right
