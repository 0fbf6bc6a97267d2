"""Names of topics, nodes and addresses."""

from __future__ import annotations

import pytest

from broker import topics
from broker.address import Endpoints, endpoints, reachable
from broker.errors import ConnectionFailedError, TopicError
from broker.transport import connect


def test_topics_of_an_agent_say_whose_they_are():
    for topic in (topics.observation("sub_3"), topics.action("sub_3"), topics.peer_message("sub_3")):
        assert topics.agent_of(topic) == "sub_3"
    for topic in (topics.STATE, topics.DESCRIPTION, topics.status("sub_3"), "/agents/a/other"):
        assert topics.agent_of(topic) is None


@pytest.mark.parametrize("name", ["", "/", "a", "/a/", "//a", "/a b", "/ä", "/a\0", "/" + "a" * 300])
def test_what_is_no_topic(name):
    with pytest.raises(TopicError, match="no topic or service name"):
        topics.check_topic(name)


def test_one_address_gives_three_endpoints():
    assert endpoints("tcp://grid-1:5550") == Endpoints(
        "tcp://grid-1:5550", "tcp://grid-1:5551", "tcp://grid-1:5552"
    )
    assert endpoints("ipc:///run/b") == Endpoints("ipc:///run/b", "ipc:///run/b.in", "ipc:///run/b.out")


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("udp://x:1", "expected tcp://host:port"),
        ("tcp://x", "expected tcp://host:port"),
        ("tcp://x:65534", "at most 65533"),
        ("tcp://x:٥٥٥٠", "expected tcp://host:port"),
        ("tcp://_:5550", "expected tcp://host:port"),
        ("tcp://..:5550", "expected tcp://host:port"),
        ("tcp://a..b:5550", "expected tcp://host:port"),
        ("tcp://*a:5550", "expected tcp://host:port"),
        (f"tcp://{'a' * 64}:5550", "expected tcp://host:port"),
        ("tcp://*:65534", "write its name, such as tcp://localhost:65534"),
        ("ipc://", "expected tcp://host:port"),
        ("memory://", "expected tcp://host:port"),
        ("ipc:///" + "a" * 105, "socket file"),
    ],
)
def test_what_is_no_address(address, complaint):
    with pytest.raises(ConnectionFailedError, match=complaint):
        connect(address, "n", 1)


def test_a_broker_can_listen_on_all_interfaces_and_nobody_can_connect_to_them():
    assert endpoints("tcp://*:5550").egress == "tcp://*:5552"
    with pytest.raises(ConnectionFailedError, match=r"'\*' stands for .* such as tcp://localhost:5550$"):
        connect("tcp://*:5550", "n", 1)
    for address in (
        "tcp://grid-1:5550",
        "tcp://sub_3.grid.example:5550",
        "tcp://10.0.0.1:5550",
        "ipc:///run/b",
    ):
        assert reachable(address) == endpoints(address)
