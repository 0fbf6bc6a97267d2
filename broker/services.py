"""Services: what is asked of one node by another, and the types that travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from broker import topics
from broker.messages import (
    AdvantageRequest,
    Advantages,
    ControlReply,
    ControlRequest,
    GridState,
    HistoryRequest,
    ParametersReply,
    ParametersRequest,
    RegistryReply,
    RegistryRequest,
)

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Service(Generic[Request, Response]):
    """The name of a service, the type of its request and the type of its response."""

    name: str
    request_type: type[Request]
    response_type: type[Response]

    def __post_init__(self) -> None:
        topics.check_topic(self.name)


ADVANTAGES = Service("/critic/advantages", AdvantageRequest, Advantages)
CONTROL = Service("/simulator/control", ControlRequest, ControlReply)
HISTORY = Service("/simulator/history", HistoryRequest, GridState)

INFO = Service("/broker/info", RegistryRequest, RegistryReply)
NODES = Service("/broker/nodes", RegistryRequest, RegistryReply)
TOPICS = Service("/broker/topics", RegistryRequest, RegistryReply)
SERVICES = Service("/broker/services", RegistryRequest, RegistryReply)
OF_BROKER = (INFO, NODES, TOPICS, SERVICES)


def parameters_of(node: str) -> Service[ParametersRequest, ParametersReply]:
    """Return the parameter service of one node."""
    return Service(topics.parameters(node), ParametersRequest, ParametersReply)
