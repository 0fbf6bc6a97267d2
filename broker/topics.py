"""Names of topics and services, built and parsed here only.

ZeroMQ matches subscriptions by prefix, so a topic on the wire ends with a NUL byte: `/grid/state` then
cannot match `/grid/state_estimate`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from broker.errors import TopicError

DESCRIPTION = "/grid/description"
STATE = "/grid/state"
APPLIED = "/grid/applied"
CLOCK = "/clock"
LOG = "/log"

_TOPIC = re.compile(r"(/[A-Za-z0-9_.\-]+)+")
_NODE = re.compile(r"[A-Za-z0-9_.\-]+")
_MAX_LENGTH = 200


def observation(agent: str) -> str:
    """Topic of what one agent is shown."""
    return check_topic(f"/grid/observation/{agent}")


def action(agent: str) -> str:
    """Topic of what one agent proposes."""
    return check_topic(f"/agents/{agent}/action")


def peer_message(agent: str) -> str:
    """Topic of what one agent tells its neighbours."""
    return check_topic(f"/agents/{agent}/message")


def status(node: str) -> str:
    """Topic of a node's heartbeat."""
    return check_topic(f"/nodes/{node}/status")


def parameters(node: str) -> str:
    """Service through which a node's parameters are read and set."""
    return check_topic(f"/{node}/parameters")


def agent_of(topic: str) -> str | None:
    """Name of the agent that a topic belongs to.

    Args:
        topic: any topic.

    Returns:
        The agent's name for its observation, action and message topics; None for all others.
    """
    match topic.split("/"):
        case ["", "grid", "observation", agent] | ["", "agents", agent, "action" | "message"]:
            return agent
    return None


def check_topic(topic: str) -> str:
    """Return the name of a topic or service unchanged if it is one.

    Raises:
        TopicError: if it is not made of `/` and words of letters, digits, `_`, `-` and `.`.
    """
    if len(topic) > _MAX_LENGTH or not _TOPIC.fullmatch(topic):
        msg = (
            f"{topic!r} is no topic or service name: expected /words/of letters, digits, '_', '-', '.', "
            f"at most {_MAX_LENGTH} characters"
        )
        raise TopicError(msg)
    return topic


def check_node(name: str) -> str:
    """Return the name of a node unchanged if it is one.

    Raises:
        TopicError: if it is not one word of letters, digits, `_`, `-` and `.`.
    """
    if len(name) > _MAX_LENGTH // 2 or not _NODE.fullmatch(name):
        msg = f"{name!r} is no node name: expected letters, digits, '_', '-', '.', at most {_MAX_LENGTH // 2}"
        raise TopicError(msg)
    return name


@lru_cache(maxsize=4096)
def to_wire(topic: str) -> bytes:
    """Return the bytes of a topic on the wire, with their NUL."""
    return topic.encode() + b"\0"
