"""Leases and calls at the broker, with time as an argument."""

from __future__ import annotations

import json

import msgpack
import pytest

from broker import codec, services
from broker.letters import Letter
from broker.messages import Clock, ControlRequest, NodeStatus, RegistryReply, RegistryRequest
from broker.registry import LEASE_S
from broker.switchboard import Switchboard

FRAMES = codec.encode("/clock", ControlRequest("x"), sender="n")


class Desk:
    """A switchboard and what came out of it last."""

    def __init__(self) -> None:
        self.unreachable: set[bytes] = set()
        self.board = Switchboard(7, lambda route: route not in self.unreachable)

    def say(self, sender: bytes, operation: str, now_s: float = 0.0, frames=(), identity: int = 1, **body):
        letter = Letter(operation, identity, body, frames)
        outcome = self.board.handle(sender, letter.packed(), now_s)
        return [(to, out.operation, out.body) for to, out in outcome.letters], outcome.publications

    def register(
        self, node: str, incarnation: int = 1, now_s: float = 0.0, takeover: bool = False, **declared
    ):
        fields = {"publishes": {}, "subscribes": {}, "serves": {}} | declared
        route = f"{node}{incarnation}".encode()
        letters, _ = self.say(
            b"ask", "register", now_s, node=node, incarnation=incarnation, route=route, host="h", pid=1,
            takeover=takeover, **fields,
        )  # fmt: skip
        return letters[-1][1]

    def ask(self, service: services.Service) -> dict:
        """What one of the broker's services answers."""
        request = codec.encode(service.name, RegistryRequest(), sender="c")
        letter = Letter("call", 1, {"service": service.name}, request)
        ((_, answer),) = self.board.handle(b"c", letter.packed(), 0.0).letters
        assert answer.body["error"] is None
        return json.loads(codec.decode(answer.frames, RegistryReply).message.records)


def test_a_lease_runs_out_and_frees_the_name():
    desk = Desk()
    assert desk.register("a") == "done"
    assert desk.register("a", incarnation=2, now_s=LEASE_S) == "refused"
    desk.board.expire(LEASE_S + 0.1)
    assert desk.register("a", incarnation=2, now_s=LEASE_S + 0.1) == "done"


def test_a_renewed_lease_does_not_run_out():
    desk = Desk()
    desk.register("a")
    letters, _ = desk.say(b"ask", "lease", LEASE_S - 1, node="a", incarnation=1)
    assert letters[0][2]["known"] is True
    desk.board.expire(LEASE_S + 1)
    assert desk.register("a", incarnation=2, now_s=LEASE_S + 1) == "refused"


def test_a_node_that_the_broker_does_not_know_is_told_so():
    letters, publications = Desk().say(b"ask", "lease", frames=FRAMES, node="a", incarnation=1, status={})
    assert letters[0][2]["known"] is False
    assert publications == []


def test_a_crashed_node_of_the_same_name_is_replaced_without_waiting():
    desk = Desk()
    desk.register("a")
    desk.unreachable.add(b"a1")
    assert desk.register("a", incarnation=2) == "done"


def test_callers_of_a_server_that_has_died_get_an_error():
    desk = Desk()
    desk.register("s", serves={"/s/x": ("ControlRequest", "ControlReply")})
    letters, _ = desk.say(b"client", "call", frames=FRAMES, identity=5, service="/s/x")
    assert letters == [(b"s1", "serve", {"service": "/s/x", "client": b"client"})]
    outcome = desk.board.expire(LEASE_S + 1)
    ((to, letter),) = outcome.letters
    assert (to, letter.id, letter.operation) == (b"client", 5, "answer")
    assert "node s did not answer: its lease has run out" in letter.body["error"]


def test_a_request_that_cannot_be_delivered_is_an_error():
    desk = Desk()
    desk.register("s", serves={"/s/x": ("ControlRequest", "ControlReply")})
    letter = Letter("call", 5, {"service": "/s/x"}, FRAMES)
    ((to, serve),) = desk.board.handle(b"client", letter.packed(), 0.0).letters
    ((to, answer),) = desk.board.undeliverable(to, serve).letters
    assert to == b"client"
    assert "service /s/x: its server is gone" in answer.body["error"]


def test_an_answer_that_nobody_waits_for_goes_nowhere():
    letters, _ = Desk().say(b"s", "answer", client=b"client", error=None)
    assert letters == []


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"\xc1"],
        [b"\x93\x01\x02\x03"],
        Letter("dance", 1, {}).packed(),
        Letter("register", 1, {"node": "a"}).packed(),
        Letter("register", 1, {"node": ["a"]}).packed(),
        Letter("lease", 1, {}).packed(),
        Letter("latch", 1, {"node": "ghost", "incarnation": 1, "topic": "/t"}).packed(),
        Letter("latch", 1, {"node": "a", "incarnation": 1, "topic": "/t"}).packed(),
        Letter("latch", 1, {"node": "a", "incarnation": 1, "topic": "/t"}, [b"/t\0"]).packed(),
        Letter("latch", 1, {"node": "a", "incarnation": 1, "topic": "/t"}, FRAMES).packed(),
        Letter("latched", 1, {"topics": 5}).packed(),
        Letter("call", 1, {"service": 5}).packed(),
        Letter("call", 1, {"service": "/broker/nodes"}, [b"x"]).packed(),
        Letter("answer", 1, {}).packed(),
    ],
)
def test_letters_that_make_no_sense_do_no_harm(frames):
    desk = Desk()
    desk.register("a")
    outcome = desk.board.handle(b"x", frames, 0.0)
    assert all(letter.operation in ("refused", "answer") for _, letter in outcome.letters)
    assert set(desk.board.registry.nodes(0.0)) == {"a"}


STATUS = vars(NodeStatus("ready", 0, 0, 0, 0, 0))
VITALS = {"stamp_s": 1.0, "cpu_s": 0.5, "rss_bytes": 1e8}
BEAT = codec.encode("/nodes/a/status", NodeStatus("ready", 0, 0, 0, 0, 0), sender="a")


def test_nobody_can_latch_a_message_of_another_topic_or_none():
    desk = Desk()
    desk.register("a")
    for frames in ([], [b"/t\0"], FRAMES):
        letters, published = desk.say(b"a", "latch", frames=frames, node="a", incarnation=1, topic="/t")
        assert letters[0][1] == "refused"
        assert "expected a message on topic '/t'" in letters[0][2]["error"]
        assert published == []
    letters, _ = desk.say(b"b", "latched", topics=["/t"])
    assert letters[0][2]["sizes"] == []
    value = codec.encode("/t", Clock(1, 2, 0.0), sender="a")
    assert desk.say(b"a", "latch", frames=value, node="a", incarnation=1, topic="/t")[1] == [value]
    assert desk.say(b"b", "latched", topics=["/t"])[0][0][2]["sizes"] == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"state": "ready"}},
        {"status": STATUS | {"note": b"bytes"}},
        {"status": STATUS | {"more": 1}},
        {"status": STATUS | {"tick": 1.5}},
        {"status": 5},
        {"vitals": VITALS | {"rss_bytes": "much"}},
        {"vitals": VITALS | {"lag_s": float("nan")}},
        {"vitals": VITALS | {b"lag_s": 1.0}},
        {"vitals": {"lag_s": 1.0}},
        {"vitals": 5},
    ],
)
def test_a_heartbeat_that_cannot_be_handed_on_is_refused_as_a_whole(changes):
    desk = Desk()
    desk.register("a")
    fields = {"node": "a", "incarnation": 1, "status": STATUS, "vitals": VITALS}
    assert desk.say(b"a", "lease", frames=BEAT, **fields)[1] == [BEAT]
    letters, published = desk.say(b"a", "lease", now_s=5.0, frames=BEAT, **fields | changes)
    assert (letters[0][1], published) == ("refused", [])
    assert "lease letter: " in letters[0][2]["error"]
    assert "expected" in letters[0][2]["error"]
    record = desk.ask(services.NODES)["a"]
    assert (record["status"], record["vitals"]) == (STATUS, VITALS)


@pytest.mark.parametrize("name", ["status", "vitals"])
def test_a_heartbeat_nested_a_thousand_deep_does_not_end_the_broker(name):
    desk = Desk()
    desk.register("a")
    rest = {"node": "a", "incarnation": 1, "status": {}, "vitals": {}}
    del rest[name]
    packed = b"".join(map(msgpack.packb, [key for item in rest.items() for key in item]))
    deep = b"\x81\xa4note" + b"\x91" * 1000 + b"\xc0"
    head = b"\x93" + msgpack.packb("lease") + b"\x01\x84" + packed + msgpack.packb(name) + deep
    ((_, answer),) = desk.board.handle(b"a", [head, *BEAT], 0.0).letters
    assert answer.operation == "refused"
    assert desk.ask(services.NODES)["a"]["status"] == {}


@pytest.mark.parametrize(
    "declared",
    [
        {"publishes": {"/t": ("Clock", b"hash", True)}},
        {"publishes": {b"/t": ("Clock", "hash", True)}},
        {"publishes": {"/t": ("Clock", "hash")}},
        {"subscribes": {"/t": ("Clock", 5)}},
        {"subscribes": {"/t": "ab"}},
        {"serves": {"/s": ("ControlRequest",)}},
    ],
)
def test_a_declaration_that_cannot_be_handed_on_is_refused(declared):
    desk = Desk()
    assert desk.register("a", **declared) == "refused"
    assert [desk.ask(service) for service in (services.NODES, services.TOPICS)] == [{}, {}]


def test_a_fault_of_the_broker_itself_is_the_end_of_one_letter_only(monkeypatch):
    desk = Desk()
    desk.register("a")

    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(desk.board.registry, "latched", fail)
    letters, _ = desk.say(b"a", "latched", topics=["/t"])
    assert letters[0][1] == "refused"
    monkeypatch.undo()
    assert desk.say(b"a", "latched", topics=["/t"])[0][0][1] == "done"


def test_refused_letters_are_answered_and_counted():
    desk = Desk()
    assert desk.board.handle(b"x", [b"\xc1"], 0.0).letters == []  # nobody knows its id
    letters, _ = desk.say(b"x", "lease", identity=5)
    assert letters[0][1] == "refused"
    assert "KeyError('node'); docs/wire.md" in letters[0][2]["error"]
    assert desk.ask(services.INFO)["broker"]["refused"] == 2
