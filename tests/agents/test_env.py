"""The world over the bus keeps every promise that Stable-Baselines3 takes from a VecEnv."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from agents import sources
from agents.advantages import critic_of
from agents.baselines import DoNothing
from agents.critic.independent import IndependentCritic
from agents.env import BusVecEnv, _infos
from agents.errors import AgentsError, CriticError, EpochChangedError
from agents.node import AgentNode
from agents.own_critic import OwnCritic
from agents.seat import Seat
from agents.settings import AgentSettings
from broker import Node
from broker.messages import Observation
from simulator.link_config import LinkConfig
from simulator.world import World
from tests.grids import CounterGrid
from tests.simulation import Simulation

pytestmark = pytest.mark.timeout(60)


class Shared:
    """A running world in which `left` does nothing and the test is `right`."""

    def __init__(self, **grid) -> None:
        self.simulation = Simulation(World(CounterGrid(**grid), LinkConfig()))
        self.nodes: list[Node] = []

    def __enter__(self):
        self.simulation.__enter__()
        rule = AgentSettings(baseline="do_nothing")
        self.simulation.start("left", lambda node: AgentNode(node, rule).run())
        return self

    def __exit__(self, *error) -> None:
        self.simulation.__exit__(*error)
        for node in self.nodes:
            node.close()

    def seat(self, name: str = "right") -> Seat:
        self.nodes.append(Node(name, self.simulation.address))
        return Seat(self.nodes[-1], "right", patience_s=20.0)

    def env(self, name: str = "right", **settings) -> BusVecEnv:
        return BusVecEnv(self.seat(name), **settings)


def test_agents_and_their_own_critics_know_how_many_copies_share_a_scenario():
    settings = AgentSettings(n_steps=4, critic={"mode": "independent", "hidden": [8]})
    with Simulation(World(CounterGrid(), LinkConfig()), copies_per_scenario=3) as simulation:
        node = Node("right", simulation.address)
        seat = Seat(node, "right", patience_s=20.0)
        critic = critic_of(seat, settings, seat.view.observation_space)
        node.close()
    assert seat.view.copies_per_scenario == 3
    assert isinstance(critic, OwnCritic)
    assert sums_over_copies(critic.critic) == pytest.approx(0.0, abs=1e-5)


def sums_over_copies(critic: IndependentCritic) -> np.ndarray:
    """Return (T,) sums of advantages over all copies: 0 where these are measured against each other."""
    rng = np.random.default_rng(0)
    rewards, nothing = rng.normal(size=(4, 3)).astype(np.float32), np.zeros(3, np.bool_)
    for row in [np.zeros(3, np.float32), *rewards]:
        critic.record(rng.normal(size=(3, 2)), row, nothing, nothing, None)
    _, advantages, _ = critic.advantages(rewards, np.zeros((4, 3), np.bool_), 0.9, 0.9)
    return advantages.sum(axis=1)


@pytest.fixture
def shared() -> Iterator[Shared]:
    with Shared(length=4) as shared:
        yield shared


def steps(env, number, action=1):
    return [env.step(np.full(env.num_envs, action)) for _ in range(number)]


def test_spaces_and_copies_are_those_of_the_grid(shared):
    env = shared.env()
    assert env.num_envs == 3
    assert env.observation_space.shape == (2,)
    assert env.action_space.n == 4
    observation = env.reset()
    assert observation.shape == (3, 2)
    assert observation.dtype == np.float32
    assert env.observation_space.contains(observation[0])


def test_what_comes_back_is_writable_and_nobody_elses(shared):
    env = shared.env()
    first = env.reset()
    first += 1e6
    observation, reward, _, _ = env.step(np.full(3, 1))
    reward += 5.0  # as SB3 does for truncated episodes
    observation += 5.0
    _, reward, _, _ = env.step(np.full(3, 1))
    assert reward.tolist() == [1.0, 1.0, 1.0]
    assert reward.dtype == np.float32


def test_a_truncated_copy_shows_its_last_observation_in_a_dict_of_its_own(shared):
    env = shared.env()
    start = env.reset()
    *_, (observation, _, done, infos) = steps(env, 4)
    assert done.tolist() == [True, False, False]  # copy i is cut after 4 + i ticks
    assert infos[0]["TimeLimit.truncated"] is True
    assert infos[0]["terminal_observation"].tolist() == [start[0, 0] + 4, 1.0]
    assert observation[0].tolist() == start[0].tolist()  # already the next episode
    assert infos[1:] == [{}, {}]
    assert len({id(info) for info in infos}) == 3
    infos[0]["terminal_observation"] += 1.0  # writable: VecNormalize changes it


def test_a_terminated_copy_was_not_truncated(shared):
    env = shared.env()
    env.reset()
    _, _, done, infos = env.step(np.array([0, 2, 0]))  # the grid's action 2 of agent `right` terminates
    assert done.tolist() == [False, True, False]
    assert infos[1]["TimeLimit.truncated"] is False
    assert infos[1]["terminal_observation"][1] == 2.0


def test_a_copy_that_is_both_terminated_and_truncated_was_not_cut_short():
    ends, rows = np.array([True, True, False]), np.ones((3, 2), np.float32)
    both = Observation(1, 4, np.full(3, 4), rows, rows[:, 0].copy(), ends, ends, final_obs=rows)
    assert [info.get("TimeLimit.truncated") for info in _infos(both, ends)] == [False, False, None]


def test_sb3s_own_wrappers_work_on_it(shared):
    env = VecNormalize(VecMonitor(shared.env()), norm_reward=True, gamma=0.9)
    raw = env.reset() * 0.0
    episodes = []
    for _ in range(12):
        observation, reward, done, infos = env.step(np.full(3, 1))
        assert np.isfinite(observation).all()
        assert np.isfinite(reward).all()
        assert observation.shape == raw.shape
        for info in np.array(infos)[done]:
            episodes.append(info["episode"])
            assert np.abs(info["terminal_observation"]).max() <= env.clip_obs
    assert env.get_original_reward().tolist() == [1.0, 1.0, 1.0]
    # Copies are cut after 4, 5 and 6 ticks, each with a reward of 1 per tick.
    assert sorted((e["l"], e["r"]) for e in episodes) == [(4, 4.0)] * 3 + [(5, 5.0)] * 2 + [(6, 6.0)] * 2


def test_masks_are_answered_without_asking_the_simulator(shared):
    env = shared.env()
    env.reset()
    assert env.has_attr("action_masks")
    assert np.stack(env.env_method("action_masks")).tolist() == [[True] * 4] * 3
    env.step(np.full(3, 1))
    masks = env.env_method("action_masks", indices=[0, 2])
    assert np.stack(masks).tolist() == [[True, True, True, False]] * 2  # the grid's rule at count 1
    assert not env.has_attr("no_such_thing")


def test_without_masks_there_is_no_such_attribute():
    with Shared(masks=False) as shared:
        env = shared.env()
        env.reset()
        assert not env.has_attr("action_masks")
        with pytest.raises(AgentsError, match="sends no action masks"):
            env.env_method("action_masks")


def test_seeds_are_ignored_and_nothing_is_drawn_or_changed_from_here(shared):
    env = shared.env()
    before = env.reset()
    assert list(env.seed(3)) == [None] * 3
    assert env.reset().tolist() == before.tolist()  # a reset is no reset of the world
    assert env.render_mode is None
    assert env.get_attr("render_mode") == [None] * 3
    assert env.get_attr("num_envs", indices=[0, 1]) == [3, 3]
    assert env.env_is_wrapped(VecMonitor) == [False] * 3
    with pytest.raises(AttributeError, match="cannot set 'gravity'"):
        env.set_attr("gravity", 1.0)
    with pytest.raises(AttributeError, match="cannot call 'fly'"):
        env.env_method("fly")


def test_an_agent_that_joins_in_mid_rollout_stands_in_until_the_others_begin_one(shared):
    first = shared.seat("early")
    first.sit_down()
    for _ in range(6):
        first.answer(np.full(3, 1))
        first.next()  # and then it dies, with tick 6 open
    seen = []
    env = shared.env("late", rollout_length=4, see=lambda observation: seen.append(observation.tick))
    with pytest.raises(AgentsError, match="joined at tick 6, in the middle of a rollout of 4"):
        env.reset()
    env.stand_in = DoNothing(env.action_space)
    env.reset()
    assert env.seat.tick == 8
    assert list(dict.fromkeys(seen)) == [6, 7, 8]
    applied = [shared.simulation.applied().actions[0, 1] for _ in range(8)]
    assert applied == [1] * 6 + [0] * 2
    env.step(np.full(3, 3))
    assert shared.simulation.applied().actions[0, 1] == 3


def test_a_new_epoch_in_mid_rollout_raises_and_the_next_reset_shows_it(shared):
    env = shared.env()
    env.reset()
    steps(env, 2)
    shared.simulation.order("reset", seed=77)
    with pytest.raises(EpochChangedError):
        steps(env, 2)
    observation = env.reset()
    assert (env.seat.epoch, env.seat.tick) == (2, 0)
    _, reward, _, _ = env.step(np.full(3, 1))
    assert reward.tolist() == [1.0] * 3
    assert env.seat.tick == 1
    assert observation[:, 1].tolist() == [0.0] * 3


def test_closing_leaves_the_table_and_frees_the_critics_address():
    class Nobody:
        def advantages(self, rewards, dones, gamma, gae_lambda):
            raise NotImplementedError

    simulation = Simulation(World(CounterGrid(), LinkConfig()), "left")
    with simulation, Node("right", simulation.address) as node:
        source = Nobody()
        env = BusVecEnv(Seat(node, "right", patience_s=20.0), source)
        address = env.get_attr("advantage_address")[0]
        assert address == env.advantage_address == "right/right"
        assert sources.lookup(address) is source
        env.reset()
        simulation.hands["left"].await_tick(0)
        env.close()
        with pytest.raises(CriticError):
            sources.lookup(address)
        simulation.hands["left"].act(0, 1)  # nobody waits for `right` any more
        assert simulation.applied().actions[0].tolist() == [1, 0]
        simulation.hands["left"].leave()
        assert simulation.simulator.end() == 0


def test_where_nobody_learns_there_is_no_critics_address(shared):
    assert shared.env().advantage_address is None


def test_the_package_offers_it():
    import agents

    assert agents.BusVecEnv is BusVecEnv
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        agents.Nothing  # noqa: B018
