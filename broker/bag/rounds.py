"""The ticks of a recorded run: which actions were given, and which state followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from broker import codec, topics
from broker.bag.errors import BagError
from broker.bag.reader import Bag
from broker.messages import Action, GridDescription, GridState


@dataclass
class Round:
    """One tick as it was recorded."""

    epoch: int
    tick: int
    state: GridState  # at this tick
    actions: dict[str, Action] = field(default_factory=dict)  # agent -> its first answer to this tick
    left: set[str] = field(default_factory=set)  # agents that took leave at this tick


def description_of(path: Path) -> GridDescription:
    """Return the first description of the grid in a bag.

    Raises:
        BagError: if there is none.
    """
    with Bag(path) as bag:
        for message in bag.messages([topics.DESCRIPTION]):
            description: GridDescription = codec.decode(message.frames, GridDescription).message
            return description
    msg = f"{path}: there is no {topics.DESCRIPTION} in it; it is not of a grid, or was begun too late"
    raise BagError(msg)


def rounds(path: Path, epoch: int | None = None) -> Iterator[Round]:
    """Yield the ticks of one epoch of a bag, in order.

    Args:
        path: of the bag.
        epoch: which one; None: the first.

    Raises:
        BagError: if the bag has no states or actions, or leaves a tick out.
    """
    with Bag(path) as bag:
        known = bag.topics()
        actions = {topic: agent for topic in known if (agent := _actor(topic)) is not None}
        if topics.STATE not in known or not actions:
            msg = f"{path}: there are no states and actions in it, it has {', '.join(known)}"
            raise BagError(msg)
        bag.check_schemas([topics.STATE, *actions])
        current: Round | None = None
        for message in bag.messages([topics.STATE, *actions]):
            if message.topic == topics.STATE:
                state: GridState = codec.decode(message.frames, GridState).message
                epoch = state.epoch if epoch is None else epoch
                if state.epoch != epoch:
                    continue
                if current is not None:
                    if state.tick != current.tick + 1:
                        msg = f"{path}: tick {state.tick} follows {current.tick}; verify the bag"
                        raise BagError(msg)
                    yield current
                current = Round(epoch, state.tick, state)
            elif current is not None:
                _take(current, actions[message.topic], codec.decode(message.frames, Action).message)
        if current is not None:
            yield current


def _take(current: Round, agent: str, action: Action) -> None:
    if (action.epoch, action.tick) != (current.epoch, current.tick):
        return
    if action.leaving:
        current.left.add(agent)
    else:
        current.actions.setdefault(agent, action)


def _actor(topic: str) -> str | None:
    agent = topics.agent_of(topic)
    return agent if agent is not None and topic == topics.action(agent) else None
