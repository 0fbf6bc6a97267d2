"""A simulator that comes back goes on in a later epoch, with those who had not left."""

from __future__ import annotations

import pytest

from broker import topics
from broker.errors import LockstepError
from broker.messages import GridDescription
from simulator.frame import Verdict
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings
from tests.simulation import Simulation, counter_world

pytestmark = pytest.mark.timeout(60)


def test_a_later_simulator_counts_on_from_the_epoch_of_an_earlier_one():
    simulation = Simulation(counter_world(), "left", "right")
    with Simulation(counter_world(), "left", "right") as other:
        earlier = other.description()
    publisher = simulation.watcher.publisher(topics.DESCRIPTION, GridDescription, latched=True)
    simulation.watcher.ready()
    publisher.publish(GridDescription(**{**vars(earlier), "epoch": 7}))
    with simulation:
        assert simulation.hands["left"].look().epoch == 8


def test_a_simulator_that_failed_comes_back_in_a_later_epoch():
    with Simulation(counter_world(), "left", "right", deadline_s=0.2) as simulation:
        simulation.play(0)
        with pytest.raises(LockstepError):
            simulation.simulator.end()
        again = simulation.start(
            "simulator", lambda node: SimulatorNode(node, counter_world(), SimulatorSettings(n_envs=3)).run()
        )
        for hand in simulation.hands.values():
            assert hand.await_tick(0, epoch=2).tick == 0
        again.node.stop()
        assert again.end() == 0


def test_a_simulator_knows_its_earlier_lives_when_the_broker_has_died_too(tmp_path):
    settings = {"run_dir": str(tmp_path), "wait_for": ["recorder"]}
    with Simulation(counter_world(), "left", "right", "recorder", **settings) as simulation:
        left, right = (simulation.hands[name] for name in ("left", "right"))
        left.await_tick(0), right.await_tick(0)
        left.leave(), right.act(0)
        right.await_tick(1)
    with Simulation(counter_world(), "right", **settings) as simulation:  # on a bus that knows nothing
        right = simulation.hands["right"]
        right.await_tick(0, epoch=2), right.act(0, 1, epoch=2)  # at once: nobody waits for the recorder again
        assert simulation.applied().verdicts[0].tolist() == [Verdict.LATE, Verdict.APPLIED]
        right.leave()
        assert simulation.simulator.end() == 0


def test_a_full_disk_does_not_end_a_simulator(tmp_path, caplog):
    (tmp_path / "nodes").touch()  # where a folder is wanted
    with Simulation(counter_world(), "left", "right", run_dir=str(tmp_path)) as simulation:
        simulation.play(0)
        assert simulation.applied().tick == 0
    assert "cannot be written" in caplog.text
