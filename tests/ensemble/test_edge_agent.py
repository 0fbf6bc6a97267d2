"""A device at the edge: the example program, which knows nothing of gridchorus, acts as every agent."""

from __future__ import annotations

import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simulator
from broker import Node, codec, topics
from broker.bag.recorder import RecorderNode
from broker.bag.rounds import rounds
from broker.bag.settings import RecorderSettings
from broker.messages import Action, Observation
from broker.schema import BY_NAME
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings
from tests.broker.bag.bags import in_thread
from tests.running_broker import running_broker

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "edge_agent.py"
pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(90)]


def test_outside_programs_act_as_the_agents_of_a_grid(tmp_path: Path) -> None:
    ticks = 25
    with (
        running_broker(tmp_path) as address,
        Node("simulator", address) as node,
        Node("recorder", address) as ear,
    ):
        recording = RecorderNode(ear, RecorderSettings(str(tmp_path / "bag")))
        settings = SimulatorSettings(grid="synthetic", n_envs=2, wait_for=["recorder"], start_deadline_s=60.0)
        world = simulator.make("synthetic", n_envs=2, seed=1)
        running = SimulatorNode(node, world, settings)
        with in_thread(recording.run, recording.stop), in_thread(running.run, node.stop) as results:
            agents = [
                subprocess.Popen(
                    [sys.executable, str(SCRIPT), address, name, str(ticks)],
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for name in world.spec.agents
            ]
            said = [agent.communicate(timeout=60)[1] for agent in agents]
        assert [agent.returncode for agent in agents] == [0, 0], said
        assert results == [0]
    recorded = list(rounds(tmp_path / "bag"))
    assert [r.tick for r in recorded] == list(range(ticks + 1))
    for done in recorded[:-1]:
        assert set(done.actions) == set(world.spec.agents)
        assert not any(action.action.any() for action in done.actions.values())
    assert recorded[-1].left == set(world.spec.agents)


def example() -> object:
    spec = importlib.util.spec_from_file_location("edge_agent", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_reads_every_array_and_picks_allowed_choices() -> None:
    edge = example()
    mask = np.array([[False, True, True], [True, False, False]])
    sent = Observation(
        3,
        9,
        np.array([8, 9]),
        np.random.default_rng(0).random((2, 700), np.float32),  # too large for the header
        np.zeros(2, np.float32),
        np.zeros(2, np.bool_),
        np.ones(2, np.bool_),
        mask=mask,
    )
    topic, header, *arrays = codec.encode(topics.observation("west"), sender="simulator", message=sent)
    seen = edge.decoded([topic + header, *arrays])  # type: ignore[attr-defined]
    assert seen["tick"] == 9
    assert seen["measured_tick"] == (8, 9)
    assert seen["obs"] == tuple(sent.obs.ravel().tolist())
    assert seen["truncated"] == (True, True)
    answer = edge.decide(seen, {"kind": "discrete", "n": 3})  # type: ignore[attr-defined]
    assert answer == ("<i8", [2], struct.pack("<2q", 1, 0))
    fields = {"epoch": 3, "tick": 9, "policy_version": 0, "leaving": False}
    frame = edge.encoded("Action", "west", 4, fields, [["action", *answer]])  # type: ignore[attr-defined]
    received = codec.decode([b"/agents/west/action\0", frame], Action)
    assert received.message.action.tolist() == [1, 0]
    assert received.header.seq == 4


def test_the_example_is_short_and_needs_two_packages_only() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < 100
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported - set(sys.stdlib_module_names) == {"msgpack", "zmq"}
    for name, digest in re.findall(r'"(\w+)": "([0-9a-f]{16})"', text):
        assert BY_NAME[name].hash == digest
