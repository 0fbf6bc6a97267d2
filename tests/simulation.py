"""A simulator in a thread, and agents played by hand, on a memory bus of their own."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from broker import Node, topics
from broker.messages import (
    Action,
    AppliedAction,
    ControlReply,
    ControlRequest,
    GridDescription,
    GridState,
    Observation,
)
from broker.services import CONTROL
from simulator.link_config import LinkConfig
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings
from simulator.world import World
from tests.grids import CounterGrid

_numbers = itertools.count()
PATIENCE_S = 20.0


class Worker(threading.Thread):
    """A node that runs in a thread of its own, and what became of it."""

    def __init__(self, name: str, address: str, work: Callable[[Node], int]) -> None:
        super().__init__(name=name, daemon=True)
        self.node = Node(name, address)
        self.exit_code: int | None = None
        self.error: BaseException | None = None
        self._work = work

    def run(self) -> None:
        try:
            with self.node:
                self.exit_code = self._work(self.node)
        except BaseException as error:
            self.error = error

    def end(self) -> int:
        """Wait for the regular end; return the exit code, or raise what ended it."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), f"{self.name} does not end"
        if self.error is not None:
            raise self.error
        assert self.exit_code is not None
        return self.exit_code


class Hand:
    """An agent whose every answer is given by the test."""

    def __init__(self, address: str, agent: str) -> None:
        self.node = Node(agent, address)
        self.seen: list[tuple[int, int]] = []  # (epoch, tick) of everything that came
        self._sub = self.node.subscription(topics.observation(agent), Observation)
        self._pub = self.node.publisher(topics.action(agent), Action)
        self.node.ready()

    def look(self) -> Observation:
        """Return the next observation, whether new or not."""
        received = wait_for(self.node, self._sub.take)
        self.seen.append((received.message.epoch, received.message.tick))
        return received.message

    def await_tick(self, tick: int, epoch: int = 1) -> Observation:
        """Return the observation of this tick; earlier ones, sent again, are passed over."""
        while ((now := self.look()).epoch, now.tick) != (epoch, tick):
            assert (now.epoch, now.tick) < (epoch, tick), f"{(now.epoch, now.tick)} came before its time"
        return now

    def act(self, tick: int, action: Any = 0, *, epoch: int = 1, copies: int = 3) -> None:
        """Answer one tick with one action for all copies, or with an array."""
        array = np.full(copies, action) if isinstance(action, int) else np.asarray(action)
        self._pub.publish(Action(epoch, tick, array))

    def leave(self) -> None:
        self._pub.publish(Action(0, 0, np.zeros(3, np.int64), leaving=True))

    def hears_nothing(self, seconds: float = 0.25) -> bool:
        """Return whether nothing new comes within a short time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.node.spin(0.05)
            while (received := self._sub.take()) is not None:
                if (received.message.epoch, received.message.tick) > max(self.seen):
                    return False
        return True


class Simulation:
    """One world on a bus, in a thread; a watcher records what it announces."""

    def __init__(self, world: World, *agents: str, **settings: Any) -> None:
        self.address = f"memory://simulation{next(_numbers)}"
        self.watcher = Node("watcher", self.address)
        self._applied = self.watcher.subscription(topics.APPLIED, AppliedAction)
        self._states = self.watcher.subscription(topics.STATE, GridState)
        self._control = self.watcher.client(CONTROL)
        self.watcher.ready()
        self.hands = {agent: Hand(self.address, agent) for agent in agents}
        chosen = SimulatorSettings(**{"retry_s": 0.05, "deadline_s": 20.0, "n_envs": 3, **settings})
        self.simulator = Worker(
            "simulator", self.address, lambda node: SimulatorNode(node, world, chosen).run()
        )
        self._workers = [self.simulator]

    def __enter__(self) -> Self:
        self.simulator.start()
        self._control.wait(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.node.stop()
        for worker in self._workers:
            worker.join(PATIENCE_S)
        self.watcher.close()
        for hand in self.hands.values():
            hand.node.close()
        assert not any(worker.is_alive() for worker in self._workers)

    def start(self, name: str, work: Callable[[Node], int]) -> Worker:
        """Run another node in a thread."""
        worker = Worker(name, self.address, work)
        self._workers.append(worker)
        worker.start()
        return worker

    def applied(self) -> AppliedAction:
        """Return the next report of what was applied."""
        return wait_for(self.watcher, self._applied.take).message

    def state(self) -> GridState:
        """Return the next grid state."""
        return wait_for(self.watcher, self._states.take).message

    def description(self) -> GridDescription:
        """Return what a node learns of the grid that comes to the bus now."""
        with Node("reader", self.address) as node:
            subscription = node.subscription(topics.DESCRIPTION, GridDescription, keep=1)
            node.ready()
            return wait_for(node, subscription.take).message

    def order(self, command: str, **arguments: Any) -> ControlReply:
        """Call the control service."""
        return self._control.call(ControlRequest(command, json.dumps(arguments)), timeout_s=PATIENCE_S)

    def play(self, tick: int, epoch: int = 1, **actions: Any) -> None:
        """Let every hand wait for a tick and answer it."""
        for hand in self.hands.values():
            hand.await_tick(tick, epoch)
        for agent, hand in self.hands.items():
            hand.act(tick, actions.get(agent, 0), epoch=epoch)


def counter_world(link: LinkConfig | None = None, **grid: Any) -> World:
    """Return a world that counts, of episodes that are longer than a test unless `length` says otherwise."""
    return World(CounterGrid(**{"length": 1000, **grid}), link or LinkConfig())


def wait_for(node: Node, take: Callable[[], Any]) -> Any:
    """Return what `take` gives, spinning until it gives something."""
    until = time.monotonic() + PATIENCE_S
    while (got := take()) is None:
        assert time.monotonic() < until, f"{node.name} waits in vain"
        node.spin(0.2)
    return got
