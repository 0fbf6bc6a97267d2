"""What a launch file says of learning is what the agents of a run do, from file to saved policy."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from agents.saved_policy import SavedPolicy
from launch.arguments import parse_overrides
from launch.assemble import assemble
from launch.evaluation import evaluate
from launch.launch_file import read_launch_file
from launch.run_folder import RunFolder
from launch.spec import LaunchSpec
from launch.threads import run_threads
from launch.validate import validate
from tests.launch.finished_run import AGENTS, write_evaluator

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]

_numbers = itertools.count()
FILE = """
name: options
simulator:
  grid: synthetic
  n_envs: 2
  options: {max_steps: 5}
  scada: {default: {measurement: {delay: {fixed: 1}, loss: 0.1}}}
agents:
  n_steps: 8
  updates: 2
  hyperparameters: {n_epochs: 1, batch_size: 16, policy_kwargs: {net_arch: [8]}}
critic: {hidden: [8], epochs: 1}
"""


def read(tmp_path: Path, *overrides: str) -> LaunchSpec:
    (tmp_path / "options.yaml").write_text(FILE)
    return validate(read_launch_file(tmp_path / "options.yaml", parse_overrides(list(overrides))).root)


def learned(tmp_path: Path, *overrides: str) -> dict[str, SavedPolicy]:
    """Train in threads, evaluate, and return the policies."""
    spec = read(tmp_path, *overrides)
    folder = RunFolder(tmp_path / f"run{next(_numbers)}")
    program = assemble(spec, AGENTS, folder, f"memory://{folder.path.name}")
    folder.create()
    for node in program.nodes:
        folder.write_settings(node)
    assert run_threads(program) == 0
    write_evaluator(folder.path, policies=["deterministic"], baselines=[], max_ticks=4, options={})
    assert [episode.ticks for episode in evaluate(folder.path, lambda _: None)] == [4, 4, 4]
    return {name: SavedPolicy.load(folder.models, name, deterministic=True) for name in AGENTS}


@pytest.mark.parametrize("critic", ["centralized", "independent"])
def test_agents_learn_and_are_evaluated_with_what_they_remember(tmp_path, critic):
    policies = learned(
        tmp_path,
        f"critic.mode={critic}",
        "agents.memory={observations: 3, actions: 2, integrals: [s*]}",
        "agents.overrides.block_1.memory={observations: 1, integrals: [s1]}",
    )
    shapes = [policy._model.observation_space.shape[0] for policy in policies.values()]
    assert shapes == [3 * 3 + 2 * 2 + 3, 2 + 2 * 1 + 1]  # 3 features and 2 quantities; 2 and 1


def test_agents_that_correct_a_rule_begin_near_it(tmp_path):
    """Where nothing is learned, the policy's own part is next to nothing."""
    still = "agents.hyperparameters.learning_rate=1e-30"
    policies = learned(
        tmp_path, still, "agents.corrects=random", "agents.overrides.block_1.corrects=do_nothing"
    )
    rng = np.random.default_rng(0)  # as the rule draws
    space = policies["block_0"]._model.action_space
    starts = np.ones(2, bool)
    for _ in range(3):
        drawn = rng.uniform(space.low, space.high, (2, *space.shape))
        sent = policies["block_0"].act(np.zeros((2, 3), np.float32), None, starts)
        np.testing.assert_allclose(sent, drawn, atol=0.05)
        still_there = policies["block_1"].act(np.zeros((2, 2), np.float32), None, starts)
        np.testing.assert_allclose(still_there, 0.0, atol=0.05)
        starts = np.zeros(2, bool)


def test_policies_of_a_run_carry_the_statistics_of_what_they_remember(tmp_path):
    policies = learned(
        tmp_path,
        "agents.memory.observations=2",
        "agents.hyperparameters.policy_kwargs.normalize_observations=true",
    )
    normalizer = policies["block_0"]._model.policy.features_extractor.normalizer
    assert (normalizer.mean.shape, float(normalizer.count)) == ((6,), 2 * 8 * 2)


def test_agents_of_one_kind_begin_alike_and_draw_on_their_own(tmp_path):
    spec = read(tmp_path, "agents.initial_weights=kind")
    names = ("battery_33", "relay", "battery_40", "battery", "load_7", "relay2")
    program = assemble(spec, names, RunFolder(tmp_path / "run"), "memory://x")
    settings = {node.name: node.config for node in program.nodes if node.finite}
    weights = [settings[name]["weights_seed"] for name in names]
    assert [weights.index(seed) for seed in weights] == [0, 1, 0, 0, 4, 1]
    assert len({settings[name]["seed"] for name in names}) == len(names)
    assert weights[0] == settings["battery_33"]["seed"]


def test_agents_have_weights_of_their_own_unless_it_is_said(tmp_path):
    program = assemble(read(tmp_path), AGENTS, RunFolder(tmp_path / "run"), "memory://x")
    assert {node.config["weights_seed"] for node in program.nodes if node.finite} == {None}


def test_a_whole_run_of_agents_that_begin_alike(tmp_path):
    """Nothing moves the weights where the learning rate is next to 0."""
    still = "agents.hyperparameters.learning_rate=1e-30"
    equal = ("simulator.options.case=random", "simulator.options.blocks=[[2, 1], [2, 1]]")
    for wanted, alike in (("kind", True), ("own", False)):
        policies = learned(tmp_path, still, *equal, f"agents.initial_weights={wanted}")
        first, second = (policy._model.policy.action_net.weight for policy in policies.values())
        assert first.equal(second) == alike
