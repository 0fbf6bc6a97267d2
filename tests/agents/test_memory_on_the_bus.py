"""What an agent remembers goes with it: over ends and epochs, into its critic, its policy and its zip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from agents import EnsemblePPO, sources
from agents.ensemble_files import save_agent
from agents.env import BusVecEnv
from agents.errors import EpochChangedError, SetupError
from agents.memory import Memory, memory_of
from agents.node import AgentNode
from agents.recipe import MemorySettings
from agents.saved_policy import SavedPolicy
from agents.seat import Seat
from agents.settings import AgentSettings
from broker import Node
from simulator.frame import Actions, Frame
from simulator.link_config import LinkConfig
from simulator.world import World
from tests.agents.algorithms.worlds import ConstantCritic
from tests.grids import CounterGrid
from tests.simulation import Simulation

pytestmark = pytest.mark.timeout(60)

COUNTER = {"observations": 3, "actions": 2, "integrals": ["line_x.status"], "integral_time_s": 4.0}


class FromZero(CounterGrid):
    """Counts from 0 in every copy."""

    def reset(self, seed: int | None = None) -> Frame:
        return super().reset()


class Counting:
    """A counting world in which `left` does nothing and the test is `right`, who remembers."""

    def __init__(self, grid: CounterGrid | None = None, **settings) -> None:
        world = World(grid or FromZero(**settings), LinkConfig())
        self.simulation = Simulation(world, n_envs=world.spec.n_envs)

    def __enter__(self):
        self.simulation.__enter__()
        rule = AgentSettings(baseline="do_nothing")
        self.simulation.start("left", lambda node: AgentNode(node, rule).run())
        self.node = Node("right", self.simulation.address)
        return self

    def __exit__(self, *error) -> None:
        self.simulation.__exit__(*error)
        self.node.close()

    def env(self, memory=COUNTER, **settings) -> BusVecEnv:
        seat = Seat(self.node, "right", patience_s=20.0)
        return BusVecEnv(seat, memory=memory_of(seat.view, MemorySettings.from_mapping(memory)), **settings)


def test_over_the_bus_an_ended_episode_keeps_its_past_and_the_next_one_begins_without() -> None:
    with Counting(length=4) as world:
        env = world.env()
        assert env.observation_space.shape == (3 * 2 + 2 * 4 + 1,)
        first = env.reset()
        assert first.tolist() == [[0, 0] * 3 + [0] * 8 + [0]] * 3
        action = np.array([1, 3, 1])
        for _ in range(3):
            observation, *_ = env.step(action)
        one, three = [0, 1, 0, 0], [0, 0, 0, 1]
        assert observation[0].tolist() == [1, 1, 2, 1, 3, 1, *one, *one, 1.5]  # (1 + 1 + 1) * 2 s / 4 s
        assert observation[1].tolist() == [1, 3, 2, 3, 3, 3, *three, *three, 4.5]
        observation, _, done, infos = env.step(action)
        assert done.tolist() == [True, False, False]
        assert infos[0]["terminal_observation"].tolist() == [2, 1, 3, 1, 4, 1, *one, *one, 2.0]
        assert observation[0].tolist() == first[0].tolist()
        assert observation[1].tolist() == [2, 3, 3, 3, 4, 3, *three, *three, 6.0]


def test_a_critic_of_the_agents_own_sees_what_the_agent_remembers() -> None:
    seen = []
    with Counting(length=4) as world:
        env = world.env(see=seen.append)
        shown = [env.reset()] + [env.step(np.ones(3, np.int64))[0] for _ in range(4)]
    assert [message.tick for message in seen] == [0, 1, 2, 3, 4]
    assert all(np.array_equal(message.obs, obs) for message, obs in zip(seen, shown, strict=True))
    assert seen[4].final_obs.shape == (3, 15)
    assert seen[4].final_obs[0, :6].tolist() == [2, 1, 3, 1, 4, 1]


def test_a_new_epoch_begins_without_a_past() -> None:
    with Counting(length=9) as world:
        env = world.env()
        env.reset()
        env.step(np.ones(3, np.int64))
        world.simulation.order("reset")
        with pytest.raises(EpochChangedError):
            steps_until_told(env)
        observation = env.reset()
        assert observation[:, 6:].tolist() == [[0.0] * 9] * 3
        assert observation[:, :6].tolist() == [[0.0] * 6] * 3


def test_who_joins_in_mid_rollout_remembers_what_the_stand_in_did() -> None:
    class Ones:
        def act(self, obs, mask, starts):
            assert obs.shape == (3, 2)  # rules act on what is shown
            return np.ones(len(obs), np.int64)

    with Counting(length=9) as world:
        env = world.env(rollout_length=4)
        env.stand_in = Ones()
        env.seat.sit_down()
        env.seat.answer(np.full(3, 3))
        env.seat.next()
        observation = env.reset()[0]
        assert env.seat.tick == 4
        assert observation.tolist() == [
            2,
            1,
            3,
            1,
            4,
            1,
            0,
            1,
            0,
            0,
            0,
            1,
            0,
            0,
            3.0,
        ]  # of 3, 1, 1, 1 since tick 1


def test_a_saved_policy_acts_on_the_features_it_learned_on(tmp_path: Path) -> None:
    """The zip alone is enough; plain SB3 predicts the same from the remembering environment's features."""
    with Counting(length=5) as world:
        env = world.env()
        model = EnsemblePPO("MlpPolicy", VecMonitor(env), critic=address(), n_steps=8, batch_size=24, seed=1)
        model.learn(24)
        entry = save_agent(tmp_path, "right", model)
        stock = PPO.load(tmp_path / entry.file, device="cpu")
        policy = SavedPolicy.load(tmp_path / entry.file, "right", deterministic=True)
        starts, features = np.ones(3, bool), env.reset()
        for _ in range(14):
            shown = env.seat.observation
            expected, _ = stock.predict(features, deterministic=True)
            assert policy.act(shown.obs, None, starts).tolist() == expected.tolist()
            features, _, starts, _ = env.step(expected)
        assert (policy._model.memory, stock.memory) == (env.memory_recipe,) * 2


def test_a_model_refuses_a_world_that_is_remembered_in_another_way(tmp_path: Path) -> None:
    with Counting() as world:
        env = world.env()
        model = EnsemblePPO("MlpPolicy", env, critic=address(), n_steps=8, batch_size=24, seed=1)
        env._memory = Memory(replace(env._memory.recipe, leak=0.5), env.action_space)
        with pytest.raises(SetupError, match="use the same memory settings"):
            model.set_env(env)


class Echo(CounterGrid):
    """`right` is shown a coin and is rewarded for choosing what the coin showed a tick ago."""

    def __init__(self) -> None:
        super().__init__(n_envs=16, length=20, masks=False)
        self.rng = np.random.default_rng(5)
        self.coin = np.zeros(16)

    def step(self, actions: Actions) -> Frame:
        wanted, self.shown_before = self.shown_before, self.coin
        frame = super().step(actions)
        rewards = np.stack([np.zeros(16), actions["right"] == wanted], axis=1).astype(np.float32)
        return replace(frame, rewards=rewards, terminated=np.zeros(16, bool))

    def reset(self, seed: int | None = None) -> Frame:
        self.shown_before = np.zeros(16)
        return super().reset()

    def _observations(self) -> dict[str, np.ndarray]:
        self.coin = self.rng.integers(0, 2, 16).astype(np.float64)
        shown = np.stack([self.coin, self.coin], axis=1).astype(np.float32)
        return dict.fromkeys(self.spec.agents, shown)


@pytest.mark.parametrize(("remembered", "least", "most"), [(1, 0.3, 0.6), (2, 0.9, 1.0)])
def test_who_remembers_learns_what_one_observation_does_not_tell(remembered, least, most) -> None:
    """One observation tells nothing of the coin before it: guessing it gets half of the reward at best."""
    with Counting(Echo()) as world:
        model = EnsemblePPO(
            "MlpPolicy",
            world.env({"observations": remembered}, rollout_length=16),
            critic=address(),
            n_steps=16,
            batch_size=64,
            gamma=0.0,
            learning_rate=3e-3,
            seed=1,
            policy_kwargs={"net_arch": [32]},
        )
        rewards = []
        model.learn(14 * 256, callback=lambda local, _: rewards.append(local["rewards"].mean()) or True)
        assert least < np.mean(rewards[-48:]) < most


def address() -> str:
    if "memory-test" not in sources._sources:
        sources.register("memory-test", ConstantCritic())
    return "memory-test"


def steps_until_told(env: BusVecEnv) -> None:
    for _ in range(2):
        env.step(np.ones(3, np.int64))
