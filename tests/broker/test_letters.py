"""Letters from anybody: what is none is refused, by nodes as by the broker, and both go on."""

from __future__ import annotations

import json

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import codec, services
from broker.calls import CallDesk
from broker.errors import FrameError
from broker.letters import Letter, unpack
from broker.messages import NodeStatus, RegistryReply, RegistryRequest
from broker.switchboard import Switchboard

LAWS = settings(max_examples=500, deadline=None)
BEAT = codec.encode("/nodes/a/status", NodeStatus("ready", 0, 0, 0, 0, 0), sender="a")
ASKED = codec.encode("/broker/nodes", RegistryRequest(), sender="a")
GOOD = {
    "node": "a",
    "incarnation": 1,
    "route": b"a:1",
    "host": "h",
    "pid": 1,
    "takeover": False,
    "publishes": {"/t": ("Clock", "0" * 16, True)},
    "subscribes": {"/t": ("Clock", "0" * 16)},
    "serves": {"/a/parameters": ("ParametersRequest", "ParametersReply")},
    "status": vars(NodeStatus("ready", 0, 0, 0, 0, 0)),
    "vitals": {"stamp_s": 1.0, "cpu_s": 1.0, "rss_bytes": 1.0},
    "topic": "/t",
    "topics": ["/t"],
    "service": "/broker/nodes",
    "client": b"c",
    "error": None,
}
READ = {  # by operation: the fields that somebody reads
    "register": [
        "node",
        "incarnation",
        "route",
        "host",
        "pid",
        "takeover",
        "publishes",
        "subscribes",
        "serves",
    ],
    "lease": ["node", "incarnation", "status", "vitals"],
    "latch": ["node", "incarnation", "topic"],
    "latched": ["topics"],
    "leave": ["node", "incarnation"],
    "call": ["service"],
    "answer": ["client", "error"],
    "serve": ["service", "client"],
    "done": ["node"],
    "dance": ["node"],
}
NAMES = st.text("ab", max_size=3) | st.binary(max_size=3)
DEPTHS = st.sampled_from([1, 6, 300, 1000, 1100]).map(lambda depth: b"\x91" * depth + b"\xc0")
SMALL = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ODD = SMALL.map(msgpack.packb) | DEPTHS  # packed: msgpack itself packs nothing so deep
FRAMES = st.sampled_from([[], [b""], [b"x", b"y"], [b"/t\0", b"\xc1"], BEAT, ASKED])


def packed(fields: dict[bytes, bytes]) -> bytes:
    """A map of names and values that are packed already."""
    return bytes([0xDE, 0, len(fields)]) + b"".join(name + value for name, value in fields.items())


def parts(fields: dict[str, object]) -> dict[bytes, bytes]:
    return {msgpack.packb(name): msgpack.packb(value) for name, value in fields.items()}


@st.composite
def wrong(draw: st.DrawFn, name: str | bytes) -> bytes:
    """Anything at all, or a map as it should be but for one entry."""
    right = GOOD.get(name)
    if not isinstance(right, dict) or draw(st.booleans()):
        return draw(ODD)
    entry = msgpack.packb(draw(st.sampled_from(sorted(right)) | NAMES))
    return packed(parts(right) | {entry: draw(ODD)})


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads of letters in which a few fields are missing, wrong or more than expected."""
    operation = draw(st.sampled_from(sorted(READ)))
    fields = parts(GOOD)
    for name in draw(st.sets(st.sampled_from(READ[operation]), max_size=1)):
        del fields[msgpack.packb(name)]
    for name in draw(st.sets(st.sampled_from(READ[operation]) | NAMES, max_size=2)):
        fields[msgpack.packb(name)] = draw(wrong(name))
    start = [msgpack.packb(part) for part in (operation, draw(st.integers(0, 3)))]
    if draw(st.integers(0, 9)) == 9:
        start[draw(st.integers(0, 1))] = draw(ODD)
    return b"\x93" + b"".join(start) + packed(fields)


@pytest.fixture(scope="module")
def board() -> Switchboard:
    """A switchboard that all letters of a law come to, one after the other."""
    return Switchboard(7, lambda route: True)


@LAWS
@given(heads() | ODD | st.binary(max_size=80))
def test_what_is_no_letter_is_refused(head):
    try:
        letter = unpack([head])
    except FrameError as error:
        assert len(str(error)) < 1000  # noqa: PT017 - both ways out are right
        return
    assert (type(letter.operation), type(letter.id), type(letter.body)) == (str, int, dict)
    assert all(type(name) is str for name in letter.body)


@LAWS
@given(head=heads(), frames=FRAMES)
def test_no_letter_ends_the_broker_or_silences_its_services(board, head, frames):
    board.handle(b"x", Letter("register", 1, GOOD).packed(), 0.0)
    for to, letter in board.handle(b"x", [head, *frames], 0.0).letters:
        assert type(to) is bytes
        assert letter.packed()
    for service in services.OF_BROKER:
        ask = Letter("call", 1, {"service": service.name}).packed()
        request = codec.encode(service.name, RegistryRequest(), sender="a")
        ((_, answer),) = board.handle(b"y", [*ask, *request], 0.0).letters
        assert answer.body["error"] is None
        json.loads(codec.decode(answer.frames, RegistryReply).message.records)


@LAWS
@given(head=heads(), frames=FRAMES)
def test_no_letter_ends_a_node(head, frames):
    posted: list[Letter] = []
    desk = CallDesk("a", 1, posted.append, lambda timeout_s: True)
    desk.add_server(services.NODES, lambda request: RegistryReply(request.name))
    try:
        desk.arrived(unpack([head, *frames]))
    except FrameError:
        return
    desk.serve()
    assert all(letter.packed() and letter.operation == "answer" for letter in posted)


@pytest.mark.parametrize(
    ("letter", "complaint"),
    [
        (Letter("serve", 1, {}), "serve letter: field 'service' is missing, expected str"),
        (Letter("serve", 1, {"service": "/x", "client": "me"}), "field 'client' is 'me', expected bytes"),
        (Letter("answer", 1, {}), "answer letter: field 'error' is missing, expected str or NoneType"),
        (Letter("answer", 1, {"error": 5}), "field 'error' is 5, expected str or NoneType"),
        (Letter("leave", 1, {b"node": 1, "node": 2}), "fields are .*expected names of type str"),
        (Letter(5, 1, {}), r"head is \(5, 1, ...\), expected \(str, int, dict\)"),
    ],
)
def test_a_letter_that_is_refused_says_what_was_expected(letter, complaint):
    with pytest.raises(FrameError, match=complaint):
        unpack(letter.packed())
