"""What recording costs: the ensemble's ticks per second with and without it, the recorder's CPU, and kills.

Paired: each pair of lock-step runs follows one another directly, in changing order, so that whatever else the
machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from broker import Node, topics
from broker.bag.reader import Bag
from broker.bag.verify import verify
from broker.messages import Action, Observation
from broker.presence import await_nodes

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COPIES, FEATURES = 8, 50


def observation(tick: int) -> Observation:
    flags = np.zeros(COPIES, np.bool_)
    obs = np.random.default_rng(tick).random((COPIES, FEATURES), np.float32)
    return Observation(
        1, tick, np.full(COPIES, tick, np.int64), obs, np.zeros(COPIES, np.float32), flags, flags
    )


@contextmanager
def bus(folder: str) -> Iterator[str]:
    address = f"ipc://{folder}/b"
    command = [sys.executable, "-m", "broker", "--address", address, "--log-level", "ERROR"]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT)
    try:
        yield address
    finally:
        process.kill()
        process.wait(10)


class Recorder:
    """A recorder process that has joined."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.folder = folder
        config = folder.with_suffix(".json")
        config.write_text(json.dumps({"folder": str(folder)}))
        command = [
            sys.executable,
            "-m",
            "broker.bag.recorder",
            "--name",
            folder.name,
            "--broker",
            node.address,
        ]
        self.process = subprocess.Popen([*command, "--config", str(config)], cwd=ROOT, env=ENVIRONMENT)
        await_nodes(node, [folder.name])

    def cpu_s(self) -> float:
        """Return the processor time that it has used, s."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        self.process.wait(20)


def answer(address: str, name: str, work_s: float) -> None:
    """Be an agent: answer every observation after so much work."""
    with Node(name, address) as node:
        seen = node.subscription(topics.observation(name), Observation)
        acted = node.publisher(topics.action(name), Action)
        node.ready(20.0)
        while node.ok() and os.getppid() > 1:
            node.spin(1.0)
            while (received := seen.take()) is not None:
                until = time.perf_counter() + work_s
                while time.perf_counter() < until:
                    pass
                message = received.message
                acted.publish(Action(message.epoch, message.tick, np.zeros(COPIES, np.int64)))


def rounds(node: Node, count: int, publishers: list, subscriptions: list) -> float:
    """Do lock-step rounds; return rounds per second."""
    start = time.perf_counter()
    for tick in range(count):
        message = observation(tick)
        for publisher in publishers:
            publisher.publish(message)
        owing = len(subscriptions)
        while owing:
            node.spin(5.0)
            for subscription in subscriptions:
                while subscription.take() is not None:
                    owing -= 1
    return count / (time.perf_counter() - start)


def step_rate(pairs: int, count: int, n_agents: int, work_s: float) -> list[tuple[float, float]]:
    """Return rounds per second without and with a recorder, pair by pair."""
    found = []
    names = [f"agent_{n}" for n in range(n_agents)]
    with tempfile.TemporaryDirectory(prefix="gc") as folder, bus(folder) as address:
        command = [sys.executable, __file__, "--work-ms", str(1e3 * work_s), "--agent"]
        agents = [subprocess.Popen([*command, f"{address},{n}"], env=ENVIRONMENT) for n in names]
        try:
            with Node("simulator", address) as node:
                publishers = [node.publisher(topics.observation(n), Observation) for n in names]
                subscriptions = [node.subscription(topics.action(n), Action) for n in names]
                node.ready(20.0)
                await_nodes(node, names)
                rounds(node, count // 4, publishers, subscriptions)
                for pair in range(pairs):
                    rates = {}
                    for recorded in (False, True) if pair % 2 else (True, False):
                        recorder = Recorder(node, Path(folder) / f"r{pair}") if recorded else None
                        rates[recorded] = rounds(node, count, publishers, subscriptions)
                        if recorder is not None:
                            recorder.end()
                            assert verify(recorder.folder).lost == 0
                    found.append((rates[False], rates[True]))
        finally:
            for agent in agents:
                agent.kill()
                agent.wait(10)
    return found


def cpu(seconds: float, rate_hz: int) -> tuple[float, int]:
    """Return the recorder's share of a core at so many messages per second, and what it lost."""
    with (
        tempfile.TemporaryDirectory(prefix="gc") as folder,
        bus(folder) as address,
        Node("sender", address) as node,
    ):
        publishers = [node.publisher(f"/t{n}", Observation) for n in range(5)]
        node.ready(20.0)
        recorder = Recorder(node, Path(folder) / "bag")
        message, before, start = observation(0), recorder.cpu_s(), time.perf_counter()
        for number in range(int(seconds * rate_hz)):
            while (left := start + number / rate_hz - time.perf_counter()) > 0:
                time.sleep(left)
            publishers[number % 5].publish(message)
        used, took = recorder.cpu_s() - before, time.perf_counter() - start
        recorder.end()
        return used / took, verify(recorder.folder).lost


def kills(count: int) -> list[tuple[float, bool]]:
    """Kill a recorder at random moments; return the seconds lost, and whether the rest is whole."""
    found, rng = [], random.Random(0)
    with (
        tempfile.TemporaryDirectory(prefix="gc") as folder,
        bus(folder) as address,
        Node("sender", address) as node,
    ):
        publisher, message = node.publisher("/t", Observation), observation(0)
        node.ready(20.0)
        for number in range(count):
            recorder = Recorder(node, Path(folder) / f"k{number}")
            end = time.perf_counter() + 0.7 + rng.random()
            while time.perf_counter() < end:
                publisher.publish(message)
                node.spin(0.001)
            killed_ns = time.time_ns()
            recorder.end(signal.SIGKILL)
            with Bag(recorder.folder) as bag:
                last_ns = bag.span_ns[1]
            verdict = verify(recorder.folder)
            cut = all("cut, or its recorder was killed" in str(fault) for fault in verdict.faults)
            found.append(((killed_ns - last_ns) / 1e9, cut and not verdict.gaps))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=16, help="pairs of runs")
    parser.add_argument("--rounds", type=int, default=300, help="lock-step rounds of a run")
    parser.add_argument("--agents", type=int, default=2, help="agent processes")
    parser.add_argument("--work-ms", type=float, default=2.0, help="of each agent per round")
    parser.add_argument("--seconds", type=float, default=10.0, help="of recording at 2,000 messages/s")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 so often")
    parser.add_argument("--agent", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.agent:
        answer(*options.agent.split(","), options.work_ms / 1e3)
        return 0
    pairs = step_rate(options.pairs, options.rounds, options.agents, options.work_ms / 1e3)
    costs = sorted(100 * (1 - recorded / bare) for bare, recorded in pairs)
    print(f"{options.agents} agents with {options.work_ms:g} ms of work, {COPIES} copies, lock-step")
    print(f"{'':32}{'median':>9}{'best':>9}{'worst':>9}")
    bare = sorted((b for b, _ in pairs), reverse=True)
    recorded = sorted((r for _, r in pairs), reverse=True)
    for label, values in (
        ("rounds/s, not recorded", bare),
        ("rounds/s, recorded", recorded),
        ("cost, % (paired)", costs),
    ):
        print(f"{label:32}{statistics.median(values):9.1f}{values[0]:9.1f}{values[-1]:9.1f}")
    share, lost = cpu(options.seconds, 2000)
    print(f"recorder at 2,000 messages/s: {100 * share:.1f} % of a core, {lost} lost")
    if options.kills:
        outcomes = kills(options.kills)
        worst, whole = max(seconds for seconds, _ in outcomes), sum(fine for _, fine in outcomes)
        print(f"kill -9, {len(outcomes)} times: at most {worst:.2f} s lost, the rest verified {whole} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
