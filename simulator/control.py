"""The service that operators command a running simulator through."""

from __future__ import annotations

import json
import time

from broker import Node
from broker.lockstep import Leader
from broker.messages import Action, ControlReply, ControlRequest
from broker.services import CONTROL
from simulator.announcer import Announcer
from simulator.link_config import LinkConfig
from simulator.orders import Orders, read_arguments
from simulator.world import World


class Control:
    """Answers ControlRequests: orders to the node, changes of the link, questions.

    Args:
        node: the connection to the broker.
        world: whose link can be changed.
        orders: what the node obeys.
        announcer: knows the epoch and what was promised of the link.
        leader: knows who has left and who is missing.
        waits: whether a tick waits for agents, which it does not by the clock.
    """

    def __init__(
        self,
        node: Node,
        world: World,
        orders: Orders,
        announcer: Announcer,
        leader: Leader[Action],
        *,
        waits: bool,
    ) -> None:
        self._node = node
        self._world = world
        self._orders = orders
        self._announcer = announcer
        self._leader = leader
        self._waits = waits
        node.server(CONTROL, self._answer)

    def _answer(self, request: ControlRequest) -> ControlReply:
        arguments = read_arguments(request.arguments)
        detail = ""
        match request.command:
            case "link":
                detail = self._set_link(LinkConfig.from_dict(arguments))
            case "status":
                detail = self._status()
            case command:
                self._orders.obey(command, arguments)
        return ControlReply(self._announcer.epoch, self._world.tick, self._orders.paused, detail)

    def _status(self) -> str:
        """Return who has left, and for whom the open tick has waited for how many seconds."""
        waited_s = round(self._leader.waited(time.monotonic()), 3) if self._waits else 0.0
        return json.dumps({"left": self._leader.left, "missing": self._leader.missing, "waited_s": waited_s})

    def _set_link(self, config: LinkConfig) -> str:
        """Change the SCADA link; return what is to be known of it."""
        self._world.set_link(config)
        width, promised = self._world.link.in_flight_dim, self._announcer.in_flight_dim
        if width == promised:
            return ""
        note = (
            f"the link holds {width} values in flight; /grid/state goes on with the {promised} that "
            "/grid/description promised, cut or padded with zeros"
        )
        self._node.log("warning", note)
        return note
