"""A running ensemble to look into: a broker, a simulator in lock-step, and an agent per block of its grid."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import simulator
from agents.errors import AgentsError
from agents.seat import Seat
from broker import Node
from broker.zeromq import ZeroMqBroker
from launch.commands import chorus
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings

Chorus = Callable[..., Any]  # the result of typer's runner
_PACE_S = 0.02  # a tick takes so long at least, which leaves the processor to the commands


def _simulate(node: Node) -> None:
    world = simulator.make("synthetic", n_envs=2, seed=0)
    try:
        SimulatorNode(node, world, SimulatorSettings(grid="synthetic", n_envs=2)).run()
    finally:
        world.close()


def _act(node: Node) -> None:
    seat = Seat(node, node.name)
    try:
        observation = seat.sit_down()
        while True:
            time.sleep(_PACE_S)
            low = seat.view.action_space.low
            seat.answer(np.repeat(low[None], len(observation.obs), axis=0))
            observation = seat.next()
    except AgentsError:
        return  # the node was stopped


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the ensemble's broker."""
    address = f"ipc://{tmp_path_factory.mktemp('bus')}/b"
    broker = ZeroMqBroker(address)
    threads = [threading.Thread(target=broker.run)]
    nodes = [Node(name, address) for name in ("simulator", "block_0", "block_1")]
    nodes[1].parameters.declare("rate", 0.5, "an example")
    nodes[1].parameters.declare("label", "slow", "an example")
    nodes[1].parameters.on_change("rate", _refuse_negative)
    threads += [
        threading.Thread(target=_simulate if node.name == "simulator" else _act, args=(node,))
        for node in nodes
    ]
    for thread in threads:
        thread.start()
    yield address
    for node in nodes:
        node.stop()
    for thread in threads[1:]:
        thread.join(20)
    for node in nodes:
        node.close()
    broker.stop()
    threads[0].join(10)
    assert not any(thread.is_alive() for thread in threads)


def _refuse_negative(value: float) -> None:
    if value < 0:
        msg = f"rate is {value}, expected at least 0"
        raise ValueError(msg)


@pytest.fixture(scope="session")
def ensemble(bus: str) -> str:
    """Address of the ensemble's broker, once everybody plays."""
    run = _runner(bus)
    assert run("topic", "echo", "/clock", "Clock", "-n", "5", "--field", "tick").exit_code == 0
    return bus


@pytest.fixture
def run(ensemble: str) -> Chorus:
    """Run `chorus` with some words on the ensemble."""
    return _runner(ensemble)


@pytest.fixture
def run_at() -> Callable[[str], Chorus]:
    """Run `chorus` on another broker."""
    return _runner


def _runner(address: str) -> Chorus:
    def run(*words: str) -> Any:
        return CliRunner(env={"CHORUS_BROKER": address}).invoke(chorus, words)

    return run
