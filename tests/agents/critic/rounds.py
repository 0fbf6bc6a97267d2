"""A small critic that has seen a world, and rounds in which all agents ask it."""

from __future__ import annotations

import numpy as np
import torch

from agents.critic.centralized import CentralizedCritic
from agents.critic.settings import CriticSettings

SMALL = CriticSettings(reward="local", hidden=(16,), minibatch_size=32, epochs=2)
T = 16


def critic_of(world, settings=SMALL, until: int | None = None) -> CentralizedCritic:
    critic = CentralizedCritic(world.description(), settings)
    for state in world.states[:until]:
        critic.observe(state)
    return critic


def run_rounds(critic, world, starts, order=None) -> dict:
    """Let all agents ask for each rollout, train when due, and return the answers."""
    answers = {}
    for start in starts:
        for agent in order or world.agents:
            answers[agent, start] = critic.answer(world.request(agent, start, T))
        if critic.due:
            critic.train()
    return answers


def same(one, other) -> None:
    assert one.keys() == other.keys()
    for key, answer in one.items():
        np.testing.assert_array_equal(answer.values, other[key].values)
        np.testing.assert_array_equal(answer.advantages, other[key].advantages)
        assert answer.critic_version == other[key].critic_version


def same_network(one: CentralizedCritic, other: CentralizedCritic) -> None:
    ours, theirs = one.trainer.network.state_dict(), other.trainer.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
