"""Leases and calls at the broker, with time as an argument."""

from __future__ import annotations

import pytest

from broker import codec
from broker.letters import Letter
from broker.messages import ControlRequest
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
