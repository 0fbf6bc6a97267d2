"""A critic that was killed goes on from its checkpoint as if nothing had been."""

from __future__ import annotations

import pytest

from agents.critic.centralized import CentralizedCritic
from agents.critic.errors import CheckpointError
from tests.agents.critic.rounds import SMALL, T, critic_of, run_rounds, same, same_network


@pytest.mark.parametrize("asked_before_the_kill", [0, 1, 2, 3])
def test_a_restarted_critic_goes_on_bit_for_bit(world, asked_before_the_kill):
    untouched = critic_of(world)
    expected = run_rounds(untouched, world, [0, T, 2 * T])

    killed = critic_of(world)
    got = run_rounds(killed, world, [0])
    for agent in world.agents[:asked_before_the_kill]:
        got[agent, T] = killed.answer(world.request(agent, T, T))
    state = killed.state_dict()
    restarted = CentralizedCritic(world.description(), SMALL)
    restarted.load_state_dict(state)
    for recalled in world.states[T:]:
        restarted.observe(recalled)
    for agent in world.agents[asked_before_the_kill:]:
        got[agent, T] = restarted.answer(world.request(agent, T, T))
    got |= run_rounds(restarted, world, [2 * T])

    same(got, expected)
    same_network(restarted, untouched)


def test_a_restarted_critic_says_what_it_must_catch_up_with(world):
    killed = critic_of(world)
    killed.answer(world.request("north", 0, T))
    restarted = CentralizedCritic(world.description(), SMALL)
    restarted.load_state_dict(killed.state_dict())
    later = world.request("north", T, T)

    assert restarted.overdue(later)
    assert restarted.missing_to_train() == list(range(T + 1))
    for state in world.states[T:]:  # the history does not reach back
        restarted.observe(state)
    assert restarted.answer(later).critic_version == 0
    assert restarted.skipped_rounds == 1


def test_a_checkpoint_of_an_earlier_epoch_keeps_only_what_was_learned(world, make_world):
    killed = critic_of(world)
    run_rounds(killed, world, [0, T])
    later = make_world(epoch=2, seed=9)
    restarted = CentralizedCritic(later.description(), SMALL)
    restarted.load_state_dict(killed.state_dict())
    for state in later.states:
        restarted.observe(state)

    assert {a.critic_version for a in run_rounds(restarted, later, [0]).values()} == {2}
    assert restarted.trainer.version == 3


def test_a_checkpoint_meets_a_new_world_that_counts_from_the_same_epoch(world):
    killed = critic_of(world)
    run_rounds(killed, world, [0, T])
    restarted = CentralizedCritic(world.description(), SMALL)
    restarted.load_state_dict(killed.state_dict())
    for state in world.states:  # from tick 0 on, though the checkpoint is of tick 32
        restarted.observe(state)
    run_rounds(restarted, world, [0])

    assert restarted.trainer.version == 3


def test_a_checkpoint_of_another_grid_is_refused(world, make_world):
    other = make_world(agents=("a", "b"))

    with pytest.raises(CheckpointError, match=r"another critic.*north.*\['a', 'b'\]"):
        critic_of(other, until=0).load_state_dict(critic_of(world, until=0).state_dict())
