"""Who is rewarded for what, and how many value heads that takes."""

from __future__ import annotations

import numpy as np
import pytest

from agents.critic.digest import rollout_digest
from agents.critic.errors import CriticSettingsError
from agents.critic.rewards import hop_distances, reward_signals
from agents.critic.settings import CriticSettings

AGENTS = ("a", "b", "c", "d")
PATH = {"a": ["b"], "b": ["a", "c"], "c": ["b"], "d": []}  # d stands alone
RAW = np.array([[1.0, 10.0, 100.0, 1000.0]], np.float32)


def signals(**settings: object):
    return reward_signals(CriticSettings.from_mapping(settings), AGENTS, PATH)


def per_agent(**settings: object) -> list[float]:
    """Return what each agent learns from."""
    found = signals(**settings)
    return found.mix(RAW)[0, list(found.head_of)].tolist()


def test_distances_count_hops():
    expected = [[0, 1, 2, np.inf], [1, 0, 1, np.inf], [2, 1, 0, np.inf], [np.inf, np.inf, np.inf, 0]]

    np.testing.assert_array_equal(hop_distances(AGENTS, PATH), expected)


def test_shared_reward_is_the_mean_and_takes_one_head():
    assert signals(reward="shared").n_heads == 1
    assert per_agent(reward="shared") == [277.75] * 4


def test_local_reward_is_each_agents_own():
    assert signals(reward="local").n_heads == 4
    assert per_agent(reward="local") == RAW[0].tolist()


def test_spatial_reward_fades_with_distance():
    assert signals(reward="spatial", alpha=0.5).n_heads == 4
    assert per_agent(reward="spatial", alpha=0.5) == [1 + 5 + 25, 0.5 + 10 + 50, 0.25 + 5 + 100, 1000]


def test_spatial_reward_has_local_reward_and_team_sum_as_its_limits():
    assert per_agent(reward="spatial", alpha=0.0) == per_agent(reward="local")
    assert per_agent(reward="spatial", alpha=1.0) == [1111.0] * 4
    assert signals(reward="spatial", alpha=1.0).n_heads == 1


def test_agents_with_equal_surroundings_share_a_head():
    triangle = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
    found = reward_signals(CriticSettings(reward="spatial", alpha=1.0), ("a", "b", "c"), triangle)

    assert found.head_of == (0, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"reward": "team"}, "team.*shared, local, spatial"),
        ({"alpha": 1.5}, "alpha is 1.5, expected 0 to 1"),
        ({"hidden": ()}, "hidden"),
        ({"minibatch_size": 0}, "minibatch_size is 0, expected at least 1"),
        ({"popart_decay": 1.0}, "popart_decay"),
        ({"lr": 0.1}, r"\['lr'\], expected names out of .*learning_rate"),
    ],
)
def test_wrong_settings_are_named(wrong, words):
    with pytest.raises(CriticSettingsError, match=words):
        CriticSettings.from_mapping(wrong)


def test_digest_sees_every_reward_and_every_end():
    rewards, dones = np.zeros((4, 2), np.float32), np.zeros((4, 2), bool)
    digests = {rollout_digest(rewards, dones)}
    for place in np.ndindex(4, 2):
        changed = rewards.copy()
        changed[place] = 1e-30
        ended = dones.copy()
        ended[place] = True
        digests |= {rollout_digest(changed, dones), rollout_digest(rewards, ended)}

    assert len(digests) == 17


def test_digest_does_not_see_layout_or_negative_zero():
    rewards = np.arange(8, dtype=np.float32).reshape(2, 4)
    dones = rewards > 5
    expected = rollout_digest(rewards, dones)
    rewards[0, 0] = -0.0

    assert rollout_digest(np.asfortranarray(rewards), dones.astype(np.float32)) == expected
