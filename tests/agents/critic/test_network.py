"""The value network: what its statistics may and may not change."""

from __future__ import annotations

import numpy as np
import torch

from agents.critic.network import ValueNetwork
from agents.critic.normalizer import RunningNormalizer
from agents.critic.popart import PopArtHead
from agents.critic.settings import CriticSettings
from agents.critic.trainer import ValueTrainer


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_popart_update_changes_no_output():
    """To 1e-5 of the size of the values, whatever that size is."""
    draw = torch.Generator().manual_seed(0)
    head = PopArtHead(16, 3, decay=0.9)
    torch.nn.init.normal_(head.linear.weight, generator=draw)
    hidden = torch.randn(200, 16, generator=draw)
    size, offset = torch.tensor([1.0, 1e3, 1e-2]), torch.tensor([0.0, -5e3, 1.0])
    for scale in (1.0, 30.0, 0.2, 5.0):
        before = head.denormalize(head(hidden))
        head.update(scale * (torch.randn(50, 3, generator=draw) * size + offset))
        after = head.denormalize(head(hidden))

        assert ((after - before).abs().amax(dim=0) <= 1e-5 * (head.mean.abs() + head.std)).all()


def test_popart_statistics_are_not_biased_towards_their_start():
    values = torch.from_numpy(rng().normal(40.0, 3.0, (5000, 1)))
    head = PopArtHead(4, 1, decay=0.99)
    head.update(values)

    torch.testing.assert_close(head.mean, values.mean(dim=0))
    torch.testing.assert_close(head.std, values.std(dim=0, correction=0))


def test_popart_follows_values_that_drift():
    head = PopArtHead(4, 1, decay=0.5)
    for level in (0.0, 100.0, 100.0, 100.0, 100.0, 100.0):
        head.update(torch.full((10, 1), level))

    assert 95.0 < head.mean.item() < 100.0


def test_normalizer_equals_statistics_of_all_batches_together():
    batches = [rng().normal(50.0, size * 0.1, (size, 3)).astype(np.float32) for size in (5, 40, 7)]
    normalizer = RunningNormalizer(3)
    for batch in batches:
        normalizer.update(torch.from_numpy(batch))
    together = torch.from_numpy(np.concatenate(batches)).double()

    torch.testing.assert_close(normalizer.mean, together.mean(dim=0))
    torch.testing.assert_close(normalizer.variance, together.var(dim=0, correction=0))


def test_normalizer_survives_a_feature_that_never_moved():
    normalizer = RunningNormalizer(2)
    normalizer.update(torch.tensor([[1.0, 3.0], [1.0, 5.0]]))

    out = normalizer(torch.tensor([[1.0, 4.0], [0.0, 4.0]]))

    assert torch.isfinite(out).all()
    torch.testing.assert_close(out[0], torch.zeros(2))


def test_first_values_are_zero_whatever_the_scale_of_inputs():
    trainer = ValueTrainer(3, 2, CriticSettings())

    assert not trainer.values(rng().normal(0, 1e6, (7, 5, 3)).astype(np.float32)).any()


def test_statistics_are_frozen_while_values_are_asked_for():
    trainer = ValueTrainer(3, 1, CriticSettings(hidden=(8,)))
    states = rng().normal(size=(50, 3)).astype(np.float32)
    trainer.update(states, states[:, :1])
    first = trainer.values(states)
    trainer.values(states + 100.0)

    np.testing.assert_array_equal(trainer.values(states), first)


def test_statistics_travel_in_the_state_dict():
    names = set(ValueNetwork(3, 1, CriticSettings(), torch.Generator()).state_dict())

    assert {"normalizer.mean", "normalizer.variance", "head.mean_sum", "head.square_sum"} <= names


def test_nothing_is_drawn_from_the_global_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trainer = ValueTrainer(3, 1, CriticSettings(hidden=(8, 8)))
    states = rng().normal(size=(50, 3)).astype(np.float32)
    trainer.update(states, states[:, :1])

    assert torch.equal(torch.get_rng_state(), before)


def test_same_seed_gives_the_same_bits_and_another_seed_others():
    states = rng().normal(size=(300, 3)).astype(np.float32)

    def trained(seed: int) -> np.ndarray:
        torch.manual_seed(int(rng().integers(1000)) + seed)  # must not matter
        trainer = ValueTrainer(3, 1, CriticSettings(hidden=(16,), seed=seed, minibatch_size=64))
        trainer.update(states, states[:, :1])
        return trainer.values(states)

    np.testing.assert_array_equal(trained(1), trained(1))
    assert (trained(1) != trained(2)).any()


def test_without_popart_values_are_learned_as_they_are():
    states = rng().normal(size=(400, 2)).astype(np.float32)
    trainer = ValueTrainer(2, 1, CriticSettings(hidden=(32,), popart=False, epochs=100, minibatch_size=100))
    trainer.update(states, states[:, :1])

    assert trainer.network.head.mean.item() == 0.0
    assert np.abs(trainer.values(states) - states[:, :1]).mean() < 0.15
