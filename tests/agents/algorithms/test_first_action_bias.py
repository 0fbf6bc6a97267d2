"""A policy can begin with a prior for doing nothing."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.errors import SetupError
from agents.policies import ActorPolicy, MaskableActorPolicy


def obs_space() -> spaces.Box:
    return spaces.Box(-1, 1, (3,), np.float32)


def test_the_first_action_begins_with_the_probability_that_its_bias_gives():
    space = obs_space()
    policy = MaskableActorPolicy(space, spaces.Discrete(50), lambda _: 1e-3, first_action_bias=6.0)
    policy.set_training_mode(False)
    seen = policy.obs_to_tensor(np.zeros((1, 3), np.float32))[0]
    probabilities = policy.get_distribution(seen).distribution.probs.detach().numpy()[0]
    assert probabilities[0] == pytest.approx(np.exp(6) / (np.exp(6) + 49), abs=1e-6)
    assert np.allclose(probabilities[1:], probabilities[1])


def test_only_choices_can_have_a_first_action():
    with pytest.raises(SetupError, match=r"first_action_bias is 6\.0, expected 0"):
        ActorPolicy(obs_space(), spaces.Box(-1, 1, (2,), np.float32), lambda _: 1e-3, first_action_bias=6.0)
