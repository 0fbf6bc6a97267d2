"""Players for tests: played to their end, steered, and what they should have said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from broker import Node
from broker.bag.player import PlayerNode
from broker.bag.reader import Bag
from broker.bag.recorder import control_of
from broker.bag.settings import PlayerSettings
from broker.messages import ControlReply, ControlRequest
from tests.broker.bag.bags import (
    Tap,
    in_thread,
    until,
)

OBSERVED = ("/grid/observation/a", "/grid/observation/b")


def in_bag(path: Path, *topics: str) -> list[list[bytes]]:
    with Bag(path) as bag:
        return [message.frames for message in bag.messages(topics or None)]


def play(address: str, path: Path, beside: Node | None = None, **settings: object) -> PlayerNode:
    """Play a bag to its end, while another node takes in what comes."""
    with Node("player", address) as node:
        player = PlayerNode(node, PlayerSettings(str(path), **settings))  # type: ignore[arg-type]
        if beside is None:
            assert player.run() == 0
        else:
            with in_thread(player.run, player.stop) as results:
                until(beside, lambda: results)
            assert results == [0]
    return player


Command = Callable[..., ControlReply]


def commands(tap: Tap) -> Command:
    def call(command: str, **arguments: object) -> ControlReply:
        request = ControlRequest(command, json.dumps(arguments))
        return tap.node.client(control_of("player")).call(request, 10.0)

    return call
