"""An agent node does its work on the bus: learn, act, resume, follow a rule, survive resets."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from agents.__main__ import main
from agents.critic.errors import CheckpointError, RolloutError
from agents.critic.independent import IndependentCritic
from agents.critic.settings import CriticSettings
from agents.ensemble_files import newest_agent_file, read_card
from agents.errors import AgentsError, SettingsError
from agents.files import replacing
from agents.learner import Learner
from agents.node import STOPPED, AgentNode
from agents.own_critic import OwnCritic
from agents.saved_policy import SavedPolicy
from agents.seat import Seat
from agents.settings import AgentSettings
from broker import Node, topics
from broker.errors import ServiceError
from broker.messages import AdvantageRequest, Advantages, Observation, RegistryRequest
from broker.services import ADVANTAGES, NODES
from tests.agents.learners import STEPS, simulation, small, start, stop_after_one_update, train, training
from tests.simulation import Worker, wait_for

pytestmark = pytest.mark.timeout(90)


class Spy(Node):
    """Sees what an agent is shown."""

    def __init__(self, agent: str, address: str) -> None:
        super().__init__("spy", address)
        self._shown = self.subscription(topics.observation(agent), Observation)
        self.ready()

    def of_tick(self, tick: int) -> np.ndarray:
        while (message := wait_for(self, self._shown.take).message).tick != tick:
            assert message.tick < tick
        return message.obs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of two updates."""
    folder = tmp_path_factory.mktemp("run")
    train(folder)
    return folder


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back what handles signals."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_learner_saves_ordinary_sb3_zips_curves_and_timings(trained):
    zips = sorted((trained / "models").glob("left-*.zip"))
    assert [read_card(path).updates for path in zips] == [1, 2]
    assert isinstance(PPO.load(zips[-1], device="cpu"), PPO)
    rows = (trained / "tb" / "left" / "progress.csv").read_text().splitlines()
    assert "rollout/ep_rew_mean" in rows[0]
    assert list((trained / "tb" / "left").glob("events*"))
    timing = json.loads((trained / "timing" / "left.json").read_text())
    assert (timing["ticks"], timing["n_envs"]) == (2 * STEPS, 3)
    assert {"acting", "messaging", "waiting", "learning"} <= set(timing["seconds"])


@pytest.mark.parametrize("source", ["zip", "folder"])
def test_a_saved_agent_acts_as_sb3_would(trained, source, tmp_path):
    entry = newest_agent_file(trained / "models", "left")
    path = trained / "models" / entry.file
    if source == "folder":
        from launch.manifest import bind_models

        (trained / "nodes").mkdir(exist_ok=True)
        (trained / "nodes" / "simulator.json").write_text(json.dumps({"grid": "counter"}))
        bind_models(trained, ["left"])
    load = str(path if source == "zip" else path.parent)
    model = PPO.load(path, device="cpu")
    with simulation("right") as world, Spy("left", world.address) as shown:
        act = AgentSettings(mode="act", load=load, deterministic=True, max_ticks=5, run_dir=str(tmp_path))
        worker = start(world, "left", act)
        right = world.hands["right"]
        for tick in range(5):
            right.await_tick(tick), right.act(tick)
            expected, _ = model.predict(shown.of_tick(tick), deterministic=True)
            assert world.applied().actions[:, 0].tolist() == expected.tolist()
        right.await_tick(5)
        assert worker.end() == 0  # after max_ticks it has left
    assert json.loads((tmp_path / "timing" / "left.json").read_text())["ticks"] == 5


def test_a_restarted_learner_goes_on_from_its_newest_checkpoint(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / "models" / "manifest.json").unlink(missing_ok=True)
    first = (folder / "tb" / "left" / "progress.csv").read_text()
    train(folder, updates=3)
    assert newest_agent_file(folder / "models", "left").updates == 3
    assert (folder / "tb" / "left" / "progress.csv").read_text() == first  # its first life's log stays
    assert (folder / "tb" / "left" / "progress-1.csv").exists()
    critic = IndependentCritic("left", 2, CriticSettings(hidden=(8,), epochs=1))
    assert OwnCritic(critic).restore(folder / "models", 3)
    assert critic.trainer.version == 3  # two updates before, one after


def test_a_run_that_starts_from_an_earlier_one_has_its_own_settings(trained):
    entry = newest_agent_file(trained / "models", "left")
    path = trained / "models" / entry.file
    earlier = PPO.load(path, device="cpu")
    hyperparameters = {**training().hyperparameters, "learning_rate": 0.125}
    changes = {"load": str(path), "n_steps": 16, "hyperparameters": hyperparameters}
    with simulation("right") as world, Node("left", world.address) as node:
        learner = Learner(Seat(node, "left"), training(**changes))
        model = learner._model
        assert (model.n_steps, model.learning_rate, model.num_timesteps) == (16, 0.125, 0)
        assert model.rollout_buffer.buffer_size == 16
        for name, tensor in earlier.policy.state_dict().items():
            assert torch.equal(model.policy.state_dict()[name], tensor)
        learner._env.detach()
        other = training(**{**changes, "hyperparameters": {**hyperparameters, "policy_kwargs": small(16)}})
        with pytest.raises(SettingsError, match="does not fit this run"):
            Learner(learner._seat, other)


def test_a_reset_in_mid_rollout_drops_the_rollout_and_nothing_else(tmp_path):
    with simulation("right") as world:
        worker = start(world, "left", training(tmp_path, updates=2))
        right = world.hands["right"]
        for tick in range(STEPS + 3):
            right.await_tick(tick), right.act(tick)
        right.await_tick(STEPS + 3)
        world.order("reset", seed=9)
        for tick in range(STEPS):
            right.await_tick(tick, epoch=2), right.act(tick, epoch=2)
        right.await_tick(STEPS, epoch=2)
        assert worker.end() == 0
    assert newest_agent_file(tmp_path / "models", "left").updates == 2
    critic = IndependentCritic("left", 2, CriticSettings(hidden=(8,), epochs=1))
    assert OwnCritic(critic).restore(tmp_path / "models", 2)
    assert (critic.trainer.version, critic.trainer.samples) == (2, 2 * STEPS * 3)


def critic_that(answers: Callable[[AdvantageRequest], Advantages]) -> Callable[[Node], int]:
    """Return the work of a critic node."""

    def serve(node: Node) -> int:
        node.server(ADVANTAGES, answers)
        node.ready()
        while node.ok():
            node.spin(0.1)
        return 0

    return serve


def test_a_reset_while_the_critic_is_asked_drops_the_rollout(tmp_path):
    """It counts as done all the same, because others may have had their answers and learned from it."""
    asked = []

    def answer(request: AdvantageRequest) -> Advantages:
        asked.append((request.epoch, request.first_tick))
        if len(asked) == 1:
            world.order("reset", seed=9)
            raise RolloutError("the world is in epoch 2")
        table = np.zeros((STEPS, 3), np.float32)
        return Advantages(table, table, table, 1)

    with simulation("right") as world:
        world.start("critic", critic_that(answer))
        worker = start(world, "left", training(tmp_path, updates=2, critic={"mode": "centralized"}))
        right = world.hands["right"]
        for tick in range(STEPS):
            right.await_tick(tick), right.act(tick)
        for tick in range(STEPS):
            right.await_tick(tick, epoch=2), right.act(tick, epoch=2)
        right.await_tick(STEPS, epoch=2)
        assert worker.end() == 0
    assert asked == [(1, 0), (2, 0)]
    assert newest_agent_file(tmp_path / "models", "left").updates == 2


def test_a_critic_that_refuses_ends_the_agent_with_what_it_said(tmp_path):
    def refuse(request: AdvantageRequest) -> Advantages:
        raise RolloutError("gamma is 0.5")

    with simulation("right") as world:
        world.start("critic", critic_that(refuse))
        worker = start(world, "left", training(tmp_path, critic={"mode": "centralized"}))
        right = world.hands["right"]
        for tick in range(STEPS):
            right.await_tick(tick), right.act(tick)
        with pytest.raises(ServiceError, match=r"gamma is 0\.5"):
            worker.end()


@pytest.mark.parametrize("algorithm", ["maskable_ppo", "recurrent_ppo"])
def test_agents_of_every_kind_learn_by_what_they_remember_and_go_on_after_a_break(algorithm, tmp_path):
    memory = {"observations": 3, "actions": 2, "integrals": ["count"]}
    train(tmp_path, algorithm=algorithm, memory=memory)
    before = newest_agent_file(tmp_path / "models", "left")
    train(tmp_path, algorithm=algorithm, memory=memory, updates=3)
    after = newest_agent_file(tmp_path / "models", "left")
    assert (before.updates, after.updates) == (2, 3)
    policy = SavedPolicy.load(tmp_path / "models" / after.file, "left", deterministic=True)
    assert policy._model.observation_space.shape == (3 * 2 + 2 * 4 + 1,)
    shown = np.zeros((3, 2), np.float32)
    assert policy.act(shown, np.ones((3, 4), bool), np.ones(3, bool)).shape == (3,)


def test_a_policy_is_not_carried_over_to_another_memory(tmp_path):
    train(tmp_path, memory={"integrals": ["count"]})
    path = tmp_path / "models" / newest_agent_file(tmp_path / "models", "left").file
    other = training(load=str(path), memory={"integrals": ["line_x.status"]})
    with simulation("right") as world:
        worker = start(world, "left", other)
        with pytest.raises(SettingsError, match="give both the same memory settings"):
            worker.end()


def test_a_checkpoint_of_another_memory_is_refused_with_what_to_do(tmp_path):
    train(tmp_path, memory={"observations": 2})
    with simulation("right") as world:
        worker = start(world, "left", training(tmp_path, updates=3, memory={"observations": 3}))
        with pytest.raises(SettingsError, match=r"left-000002-\w+\.zip does not fit this run"):
            worker.end()


def test_a_stopped_learner_saves_what_it_has_learned(tmp_path):
    stop_after_one_update(training(tmp_path, updates=50, checkpoint_every=50))
    entry = newest_agent_file(tmp_path / "models", "left")
    assert entry.updates == 1
    assert PPO.load(tmp_path / "models" / entry.file, device="cpu").num_timesteps == STEPS * 3


def test_a_learner_that_is_stopped_while_it_asks_the_critic_saves_what_it_has_learned(tmp_path):
    asked, go_on = threading.Event(), threading.Event()

    def answer(request):
        if request.first_tick > 0:
            asked.set()
            go_on.wait(30.0)
        zeros = np.zeros((STEPS, 3), np.float32)
        return Advantages(zeros, zeros, zeros, 1)

    with simulation("right") as world:
        world.start("critic", critic_that(answer))
        settings = training(tmp_path, updates=9, checkpoint_every=9, critic={"mode": "centralized"})
        worker = start(world, "left", settings)
        right = world.hands["right"]
        for tick in range(2 * STEPS):
            right.await_tick(tick), right.act(tick)
        assert asked.wait(30.0)
        worker.node.stop()
        assert worker.end() == STOPPED
        go_on.set()
    entry = newest_agent_file(tmp_path / "models", "left")
    assert entry.updates == 1
    assert PPO.load(tmp_path / "models" / entry.file, device="cpu").num_timesteps == STEPS * 3


def test_an_agent_that_is_stopped_before_there_is_a_grid_ends_in_order():
    worker = Worker("left", "memory://nobody", lambda node: AgentNode(node, training()).run())
    with Node("watcher", "memory://nobody") as watcher:
        watcher.ready()
        worker.start()
        nodes = watcher.client(NODES)
        wait_for(watcher, lambda: '"left"' in nodes.call(RegistryRequest(), 5.0).records)
        worker.node.stop()
        assert worker.end() == STOPPED


def test_a_rule_follows_the_world_through_resets():
    with simulation("right") as world:
        start(world, "left", AgentSettings(baseline="random", seed=1))
        right = world.hands["right"]
        for epoch in (1, 2):
            for tick in range(3):
                right.await_tick(tick, epoch), right.act(tick, epoch=epoch)
                assert world.applied().verdicts[0].tolist() == [0, 0]
            right.await_tick(3, epoch)
            world.order("reset")


@pytest.mark.parametrize(
    ("mode", "changes", "expected"),
    [
        ("lockstep", {"critic": {"mode": "none"}}, "needs a critic; set critic.mode"),
        ("realtime", {}, "simulator mode is 'realtime'; learning needs 'lockstep'"),
    ],
)
def test_learning_needs_a_critic_and_lock_step(mode, changes, expected):
    with simulation(mode=mode, period_s=1000.0 if mode == "realtime" else None) as world:
        worker = start(world, "left", training(**changes))
        with pytest.raises(AgentsError, match=expected):
            worker.end()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"policy": "CnnPolicy"}, "EnsemblePPO refuses its settings: Policy CnnPolicy unknown"),
        ({"hyperparameters": {"batch_size": 24, "policy_kwargs": {"foo": 1}}}, "settings: .*'foo'"),
        ({"hyperparameters": {"batch_size": 24, "policy_kwargs": {"net_arch": "hello"}}}, "its settings: "),
    ],
)
def test_settings_that_sb3_refuses_end_the_agent_before_it_is_ready(changes, expected):
    with simulation("right") as world:
        worker = start(world, "left", training(**changes))
        with pytest.raises(SettingsError, match=expected):
            worker.end()
        nodes = world.watcher.client(NODES).call(RegistryRequest(), 5.0).records
        assert json.loads(nodes).get("left", {}).get("status", {}).get("state") != "ready"


def test_a_full_disk_leaves_no_half_written_file_behind(tmp_path):
    (tmp_path / "whole").write_bytes(b"old")
    with contextlib.suppress(OSError), replacing(tmp_path / "whole") as file:
        file.write(b"new")
        raise OSError("no room")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert (tmp_path / "whole").read_bytes() == b"old"


def test_an_own_critic_is_kept_with_everything_that_makes_its_next_update(tmp_path):
    def critic() -> OwnCritic:
        return OwnCritic(IndependentCritic("left", 2, CriticSettings(hidden=(8,), epochs=2, seed=5)))

    rng = np.random.default_rng(0)
    rewards, none = rng.normal(size=(6, 3)).astype(np.float32), np.zeros(3, bool)
    obs = rng.normal(size=(7, 3, 2)).astype(np.float32)

    def learn(own: OwnCritic) -> np.ndarray:
        own.critic.restart()
        for tick in range(7):
            own.critic.record(obs[tick], rewards[tick - 1], none, none, None)
        return own.advantages(rewards, np.zeros((6, 3), bool), 0.9, 0.9)[0]

    first = critic()
    learn(first)
    first.save(tmp_path, 1)
    (tmp_path / "left-000001-abcdabcd.zip").touch()
    second = critic()
    assert second.restore(tmp_path, 1)
    assert not second.restore(tmp_path, 2)
    assert np.array_equal(learn(second), learn(first))
    assert np.array_equal(learn(second), learn(first))  # optimizer and generator too
    other = OwnCritic(IndependentCritic("left", 2, CriticSettings(hidden=(8,), learning_rate=1e-5)))
    assert other.start_from(tmp_path, 1)
    assert not other.start_from(tmp_path, 2)
    assert other.critic.trainer.learning_rate == 1e-5  # another run's step size is its own
    wide = OwnCritic(IndependentCritic("left", 2, CriticSettings(hidden=(16,))))
    with pytest.raises(CheckpointError, match=r"does not fit 2 inputs, hidden \(16,\) and 1 heads"):
        wide.start_from(tmp_path, 1)
    first.save(tmp_path, 2)
    first.save(tmp_path, 3)  # no policy was saved beside the second
    (tmp_path / "left-x-000009.critic.pt").touch()  # another agent's
    first.save(tmp_path, 3)
    names = sorted(path.name for path in tmp_path.glob("*.critic.pt"))
    assert names == ["left-000001.critic.pt", "left-000003.critic.pt", "left-x-000009.critic.pt"]


def test_an_agent_can_be_started_by_hand(handlers, tmp_path, capsys):
    config = tmp_path / "left.json"
    config.write_text(json.dumps({"max_ticks": 4}))
    with simulation() as world:
        start(world, "right", AgentSettings(baseline="do_nothing"))
        words = ["--name", "left", "--broker", world.address]
        assert main([*words, "--config", str(config), "--baseline", "random"]) == 0
        assert [world.applied().tick for _ in range(4)] == [0, 1, 2, 3]
        config.write_text(json.dumps({"speed": 4}))
        assert main([*words, "--config", str(config)]) == 1
        assert main(["--name", "middle", "--broker", world.address, "--baseline", "random"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("agents.errors.SettingsError: agent settings: settings is ['speed']")
    assert errors[1].startswith("agents.errors.AgentsError: agent 'middle': grid 'counter' has no such agent")
