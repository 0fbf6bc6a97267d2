"""What a lock-step round costs: nodes through the broker, against bare pyzmq PUB/PULL.

One process plays the simulator: per round it publishes one observation to each agent process and waits for
one action from each. The same processes do both kinds of round, in alternating blocks, so that whatever
else the machine does falls on both. Bare means: PUB with one frame (topic and observation bytes) to SUB,
PUSH with one frame (action bytes) to PULL; no header, no types, no broker.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zmq

from broker import Node, topics
from broker.messages import Action, Observation

COPIES = 8
FEATURES = 100
BLOCK = 50  # rounds
PATIENCE_S = 60.0


def agent(name: str, folder: str, blocks: int) -> None:
    """Answer every observation with an action, bare and through a node in turn."""
    context = zmq.Context()
    sub, push = context.socket(zmq.SUB), context.socket(zmq.PUSH)
    sub.setsockopt(zmq.SUBSCRIBE, topics.to_wire(name))
    sub.connect(f"ipc://{folder}/pub")
    push.connect(f"ipc://{folder}/pull")
    answer = np.zeros(COPIES, np.int64)
    with Node(name.strip("/"), f"ipc://{folder}/broker") as node:
        observations = node.subscription(topics.observation(node.name), Observation)
        actions = node.publisher(topics.action(node.name), Action)
        node.ready(PATIENCE_S)
        push.send(b"")
        for _ in range(blocks):
            for _ in range(BLOCK):
                sub.recv()
                push.send(answer.tobytes())
            for _ in range(BLOCK):
                while (received := observations.take()) is None:
                    node.spin(PATIENCE_S)
                message = received.message
                actions.publish(Action(message.epoch, message.tick, answer))
    context.destroy(linger=0)


class Bare:
    """The simulator's side without any of ours."""

    def __init__(self, context: zmq.Context, folder: str, names: list[str]) -> None:
        self.pub, self.pull = context.socket(zmq.PUB), context.socket(zmq.PULL)
        self.pub.bind(f"ipc://{folder}/pub")
        self.pull.bind(f"ipc://{folder}/pull")
        self.topics = [topics.to_wire(name) for name in names]
        self.payload = b"".join(array.tobytes() for array in _arrays().values())

    def round(self, _tick: int) -> None:
        """Send to all, hear from all."""
        for topic in self.topics:
            self.pub.send(topic + self.payload)
        for _ in self.topics:
            self.pull.recv()


class Ours:
    """The simulator's side through a node."""

    def __init__(self, node: Node, names: list[str]) -> None:
        self.node = node
        self.observations = [node.publisher(topics.observation(name), Observation) for name in names]
        self.actions = [node.subscription(topics.action(name), Action) for name in names]
        self.arrays = _arrays()
        node.ready(PATIENCE_S)

    def round(self, tick: int) -> None:
        """Publish to all, take one action from each."""
        message = Observation(0, tick, **self.arrays)
        for publisher in self.observations:
            publisher.publish(message)
        owing = len(self.actions)
        while owing:
            self.node.spin(PATIENCE_S)
            for subscription in self.actions:
                while subscription.take() is not None:
                    owing -= 1


def _arrays() -> dict[str, np.ndarray]:
    return {
        "measured_tick": np.zeros(COPIES, np.int64),
        "obs": np.zeros((COPIES, FEATURES), np.float32),
        "reward": np.zeros(COPIES, np.float32),
        "terminated": np.zeros(COPIES, np.bool_),
        "truncated": np.zeros(COPIES, np.bool_),
    }


def measure(n_agents: int, n_rounds: int, folder: str) -> tuple[list[float], list[float], Node]:
    """Return seconds per round, bare and ours, one value per block."""
    blocks = max(2, n_rounds // BLOCK)
    names = [f"/agent_{i}" for i in range(n_agents)]
    processes = [multiprocessing.Process(target=agent, args=(name, folder, blocks)) for name in names]
    for process in processes:
        process.start()
    context = zmq.Context()
    bare = Bare(context, folder, names)
    try:
        with Node("simulator", f"ipc://{folder}/broker") as node:
            ours = Ours(node, [name.strip("/") for name in names])
            for _ in names:
                bare.pull.recv()
            seconds: tuple[list[float], list[float]] = ([], [])
            for _ in range(blocks):
                for side, rounds in zip(seconds, (bare, ours), strict=True):
                    start = time.perf_counter()
                    for tick in range(BLOCK):
                        rounds.round(tick)
                    side.append((time.perf_counter() - start) / BLOCK)
            for process in processes:
                process.join(PATIENCE_S)
            return *seconds, node
    finally:
        context.destroy(linger=0)
        for process in processes:
            process.kill()


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agents", type=int, default=20, help="agent processes")
    parser.add_argument("--rounds", type=int, default=2000, help="rounds of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gc") as folder:
        address = f"ipc://{folder}/broker"
        command = [sys.executable, "-m", "broker", "--address", address, "--log-level", "WARNING"]
        broker = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        try:
            bare, ours, node = measure(options.agents, options.rounds, folder)
        finally:
            broker.terminate()
            broker.wait(10)
    report(options.agents, bare[1:], ours[1:])  # the first block of each warms up
    print(f"messages lost {node.counters.lost}, refused {node.counters.refused}")
    return 0


def report(n_agents: int, bare: list[float], ours: list[float]) -> None:
    """Print seconds per round as a table."""
    print(
        f"{n_agents} agent processes, {COPIES} copies, {FEATURES} float32 per copy, blocks of {BLOCK} rounds"
    )
    print(f"{'':24}{'median':>8}{'best':>8}{'worst':>8}")
    for label, side in (("bare PUB/PULL, ms", bare), ("through broker, ms", ours)):
        ms = [1e3 * value for value in side]
        print(f"{label:24}{statistics.median(ms):8.3f}{min(ms):8.3f}{max(ms):8.3f}")
    ratios = [b / a for a, b in zip(bare, ours, strict=True)]
    print(f"{'ratio, block by block':24}{statistics.median(ratios):8.2f}{min(ratios):8.2f}{max(ratios):8.2f}")


if __name__ == "__main__":
    sys.exit(main())
