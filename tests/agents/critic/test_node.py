"""The critic on the bus: lost states, restarts, errors that travel."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from agents.critic.centralized import CentralizedCritic
from agents.critic.checkpoint import load
from agents.critic.node import CriticNode
from agents.critic.settings import CriticNodeSettings, CriticSettings
from broker import Node, codec, topics
from broker.errors import ServiceError, ServiceUnavailableError
from broker.messages import Advantages, GridDescription, GridState, HistoryRequest, ParametersRequest
from broker.services import ADVANTAGES, HISTORY, parameters_of
from broker.zeromq import ZeroMqBroker

SMALL = CriticSettings(reward="local", hidden=(16,), minibatch_size=32, epochs=2)
T = 16
_names = itertools.count()


@pytest.fixture
def address() -> str:
    return f"memory://critic-test-{next(_names)}"


@contextmanager
def in_a_thread(name: str, address: str, work: Callable[[Node], object]) -> Iterator[list[object]]:
    """Run `work(node)` in a thread of its own until the block ends; yield what it returned or raised."""
    outcome: list[object] = []
    nodes: list[Node] = []
    up = threading.Event()

    def run() -> None:
        with Node(name, address) as node:
            nodes.append(node)
            up.set()
            try:
                outcome.append(work(node))
            except Exception as error:
                outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(10)
    try:
        yield outcome
    finally:
        nodes[0].stop()
        thread.join(20)
        assert not thread.is_alive()


def simulator(
    world,
    lost: set[int] = frozenset(),
    forgotten: set[int] = frozenset(),
    until: int = 10**6,
    asked: list[int] | None = None,
):
    """Return the work of a simulator whose states get lost on the way, and that forgets some as well."""
    asked = [] if asked is None else asked  # ticks that were recalled

    def work(node: Node) -> int:
        def recall(request: HistoryRequest) -> GridState:
            if request.epoch != world.epoch or request.tick in forgotten:
                msg = f"tick {request.tick} of epoch {request.epoch} is not kept"
                raise LookupError(msg)
            asked.append(request.tick)
            return world.states[request.tick]

        description = node.publisher(topics.DESCRIPTION, GridDescription, latched=True)
        states = node.publisher(topics.STATE, GridState)
        description.publish(world.description())
        node.ready()
        node.server(HISTORY, recall)
        node.ready()  # whoever has waited for the service finds a described grid
        for state in world.states[:until]:
            if state.tick not in lost:
                states.publish(state)
        while node.ok():
            node.spin(1.0)
        return len(asked)

    return work


def critic(settings: CriticNodeSettings):
    return lambda node: CriticNode(node, settings).run()


@contextmanager
def ensemble(
    address: str, world, settings: CriticNodeSettings, **losses: Any
) -> Iterator[tuple[Node, list[object]]]:
    """Run critic and simulator, and yield an agents' node with the critic's outcome."""
    with ExitStack() as stack:
        outcome = stack.enter_context(in_a_thread("critic", address, critic(settings)))
        node = stack.enter_context(Node("agents", address))
        node.ready()
        node.client(ADVANTAGES).wait(10)
        stack.enter_context(in_a_thread("simulator", address, simulator(world, **losses)))
        node.client(HISTORY).wait(10)
        yield node, outcome


def ask(node: Node, world, start: int, agents: tuple[str, ...] | None = None) -> list[Advantages]:
    client = node.client(ADVANTAGES)
    return [client.call(world.request(agent, start, T), timeout_s=20) for agent in agents or world.agents]


def ask_patiently(node: Node, world, start: int, agent: str) -> list[Advantages]:
    """Ask as agents do: again and again while there is no critic."""
    until = time.monotonic() + 40.0
    while True:
        try:
            return ask(node, world, start, (agent,))
        except ServiceUnavailableError:
            assert time.monotonic() < until
            node.spin(0.1)


def expected(world, starts: tuple[int, ...]) -> list[list[Advantages]]:
    reference = CentralizedCritic(world.description(), SMALL)
    for state in world.states:
        reference.observe(state)
    return [[reference.answer(world.request(agent, start, T)) for agent in world.agents] for start in starts]


def same(got: list[Advantages], wanted: list[Advantages]) -> None:
    for one, other in zip(got, wanted, strict=True):
        assert one.critic_version == other.critic_version
        np.testing.assert_array_equal(one.advantages, other.advantages)
        np.testing.assert_array_equal(one.returns, other.returns)


def test_lost_states_change_nothing_but_time(address, world):
    with ensemble(address, world, CriticNodeSettings(SMALL), lost={0, 1, 7, 8, 9, T, 40, 41}) as (node, _):
        got = [ask(node, world, start) for start in (0, T, 2 * T)]

    for one, other in zip(got, expected(world, (0, T, 2 * T)), strict=True):
        same(one, other)


def test_lost_states_are_fetched_before_the_simulator_forgets_them(address, world):
    asked, forgotten = [], set()
    losses = {"lost": {7, 8}, "asked": asked, "forgotten": forgotten}
    with ensemble(address, world, CriticNodeSettings(SMALL), **losses) as (node, _):
        until = time.monotonic() + 20.0
        while not {7, 8} <= set(asked):
            assert time.monotonic() < until, "nobody asked for the lost states"
            node.spin(0.05)
        forgotten |= {7, 8}
        got = ask(node, world, 0)

    same(got, expected(world, (0,))[0])


def test_a_state_that_nobody_has_is_a_clear_error_and_later_rollouts_go_on(address, world):
    with ensemble(address, world, CriticNodeSettings(SMALL), lost={7}, forgotten={7}) as (node, outcome):
        with pytest.raises(ServiceError, match=r"epoch 1, tick 7 .*/simulator/history.*history_ticks"):
            ask(node, world, 0)
        assert [a.critic_version for a in ask(node, world, T)] == [0, 0, 0]
        assert [a.critic_version for a in ask(node, world, 2 * T)] == [1, 1, 1]

    assert outcome == [0]


def test_refusals_travel_to_the_agent_that_asked(address, world):
    with ensemble(address, world, CriticNodeSettings(SMALL)) as (node, outcome):
        client = node.client(ADVANTAGES)
        with pytest.raises(ServiceError, match=r"agent east, epoch 1, steps 0 to 15: .*raw rewards"):
            client.call(replace(world.request("east", 0, T), digest="0" * 64))
        with pytest.raises(ServiceError, match="no such agent; known are north, east, south"):
            client.call(replace(world.request("east", 0, T), agent="west"))
        assert len(ask(node, world, 0)) == 3

    assert outcome == [0]


@pytest.mark.parametrize("shape", [[], [3], [3, 1, 1]])
@pytest.mark.parametrize("field", ["state", "in_flight", "rewards"])
def test_a_state_with_more_or_fewer_dimensions_does_not_end_it(address, world, field, shape):
    frames = codec.encode(topics.STATE, world.states[1], sender="simulator")
    header = msgpack.unpackb(frames[1])
    (entry,) = [entry for entry in header[8] if entry[0] == field]
    entry[2:] = [shape, bytes(4 * int(np.prod(shape)))]
    with ensemble(address, world, CriticNodeSettings(SMALL)) as (node, outcome):
        node._transport.publish([frames[0], msgpack.packb(header)])
        assert len(ask(node, world, 0)) == 3

    assert outcome == [0]


def test_without_a_grid_it_says_so(address, world):
    with in_a_thread("critic", address, critic(CriticNodeSettings(SMALL))), Node("agents", address) as node:
        node.ready()
        node.client(ADVANTAGES).wait(10)
        with pytest.raises(ServiceError, match=r"agent north asks, but no /grid/description"):
            ask(node, world, 0)


def test_baselines_are_not_waited_for(address, world, tmp_path):
    settings = CriticNodeSettings(SMALL, agents=("north", "south"), models_dir=str(tmp_path))
    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 0, ("north", "south"))
        wait_for_version(node, tmp_path, 1)


def wait_for_version(node: Node, models: Path, version: int) -> None:
    for _ in range(200):
        path = models / "critic.pt"
        if path.exists() and load(path)["trainer"]["version"] == version:
            return
        node.spin(0.05)
    pytest.fail(f"no checkpoint of version {version} within 10 s")


def test_a_restarted_critic_goes_on_bit_for_bit(address, world, tmp_path):
    settings = CriticNodeSettings(SMALL, models_dir=str(tmp_path))
    with ExitStack() as stack:
        stack.enter_context(in_a_thread("simulator", address, simulator(world, until=T + 1)))
        node = stack.enter_context(Node("agents", address))
        node.ready()
        node.client(HISTORY).wait(10)
        got = []
        for agents in (("north",), ("east",), ("south",)):  # a life each; states come from the history
            with in_a_thread("critic", address, critic(settings)):
                node.client(ADVANTAGES).wait(10)
                got += ask(node, world, 0, agents)
        with in_a_thread("critic", address, critic(settings)):
            node.client(ADVANTAGES).wait(10)
            later = ask(node, world, T)

    first, second = expected(world, (0, T))
    same(got, first)
    same(later, second)


def test_its_learning_rate_can_be_set_while_it_runs_and_survives_it(address, world, tmp_path):
    settings = CriticNodeSettings(SMALL, models_dir=str(tmp_path))
    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 0, ("north",))
        client = node.client(parameters_of("critic"))
        client.call(ParametersRequest("set", "learning_rate", "0.005"))
        with pytest.raises(ServiceError, match="expected above 0"):
            client.call(ParametersRequest("set", "learning_rate", "-1.0"))
        ask(node, world, T)

    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 2 * T)
        reply = node.client(parameters_of("critic")).call(ParametersRequest("get", "learning_rate"))
        assert json.loads(reply.values) == {"learning_rate": 0.005}


def test_what_an_earlier_run_learned_can_be_loaded(address, world, tmp_path):
    with ensemble(address, world, CriticNodeSettings(SMALL, models_dir=str(tmp_path / "a"))) as (node, _):
        ask(node, world, 0)
        wait_for_version(node, tmp_path / "a", 1)
    settings = CriticNodeSettings(SMALL, models_dir=str(tmp_path / "b"), load=str(tmp_path / "a"))
    with ensemble(address, world, settings) as (node, _):
        answers = ask(node, world, 0)
        wait_for_version(node, tmp_path / "b", 2)

    assert [a.critic_version for a in answers] == [1, 1, 1]


def test_a_checkpoint_of_another_grid_ends_the_node(address, world, make_world, tmp_path):
    settings = CriticNodeSettings(SMALL, models_dir=str(tmp_path))
    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 0)
    other = make_world(agents=("a", "b"))
    with ensemble(address, other, settings) as (_, outcome):
        until = time.monotonic() + 10.0
        while not outcome and time.monotonic() < until:
            time.sleep(0.01)

    assert "another critic" in str(outcome[0])


def test_curves_and_timing_are_left_behind(address, world, tmp_path):
    settings = CriticNodeSettings(SMALL, tensorboard_dir=str(tmp_path / "tb"), run_dir=str(tmp_path))
    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 0)
        ask(node, world, T)

    with ensemble(address, world, settings) as (node, _):
        ask(node, world, 0)

    assert (tmp_path / "tb" / "critic" / "progress-1.csv").exists()  # and the first life's is still there
    columns = (tmp_path / "tb" / "critic" / "progress.csv").read_text().splitlines()[0]
    timing = json.loads((tmp_path / "timing" / "critic.json").read_text())
    assert "critic/explained_variance" in columns
    assert timing["updates"] == 1  # of the newest life
    assert timing["seconds"]["learning"] > 0


@pytest.mark.ensemble
@pytest.mark.timeout(90)
def test_kill_minus_9_in_a_real_process_costs_nothing(world, tmp_path):
    address = f"ipc://{tmp_path}/bus"
    config = tmp_path / "critic.json"
    small = {"reward": "local", "hidden": [16], "minibatch_size": 32, "epochs": 2}
    config.write_text(json.dumps({"settings": small, "models_dir": str(tmp_path / "models")}))
    command = [sys.executable, "-m", "agents.critic", "--broker", address, "--config", str(config)]
    broker = ZeroMqBroker(address)
    forwarding = threading.Thread(target=broker.run)
    forwarding.start()
    lives: list[subprocess.Popen[bytes]] = []
    try:
        with in_a_thread("simulator", address, simulator(world)), Node("agents", address) as node:
            node.ready()
            lives.append(subprocess.Popen(command))
            node.client(ADVANTAGES).wait(40)
            got = ask(node, world, 0) + ask(node, world, T, ("north",))
            os.kill(lives[0].pid, signal.SIGKILL)
            lives[0].wait(10)
            with pytest.raises(ServiceUnavailableError):
                ask(node, world, T, ("east",))
            lives.append(subprocess.Popen(command))
            got += ask_patiently(node, world, T, "east") + ask(node, world, T, ("south",))
            got += ask(node, world, 2 * T)
            lives[1].send_signal(signal.SIGTERM)
            assert lives[1].wait(10) == 0
    finally:
        for life in lives:
            life.kill()
            life.wait(10)
        broker.stop()
        forwarding.join(10)

    same(got, [answer for round_ in expected(world, (0, T, 2 * T)) for answer in round_])


def test_faulty_settings_end_the_process_with_their_name(tmp_path, capsys):
    from agents.critic.__main__ import main

    config = tmp_path / "critic.json"
    config.write_text(json.dumps({"settings": {"epochs": 0}}))

    assert main(["--broker", "memory://none", "--config", str(config)]) == 1
    assert "epochs is 0, expected at least 1" in capsys.readouterr().err
