"""The launch files that ship are valid, and what they hold out is held out."""

from __future__ import annotations

import pytest

import simulator
from launch.agent_names import agents_of
from launch.arguments import parse_overrides
from launch.held_out import evaluator_settings
from launch.imports import ROOT
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.spec import LaunchSpec
from simulator.held_out import may_have_met

FILES = ROOT / "launch" / "files"
TRAINED = (
    "case14",
    "case14_storage",
    "case5",
    "frequency68",
    "microgrid6",
    "microgrid20",
    "microgrid20_areas",
)


def load(name: str, *words: str) -> tuple[LaunchSpec, tuple[str, ...]]:
    root = read_launch_file(FILES / f"{name}.yaml", parse_overrides(words)).root
    spec = checked(root)
    return spec, agents_of(root, spec)


@pytest.mark.parametrize("name", TRAINED)
def test_a_shipped_file_brings_up_agents_and_evaluates_them(name):
    spec, agents = load(name)
    assert spec.name == name
    assert len(agents) >= 2
    assert spec.evaluator is not None
    assert spec.evaluator.baselines


@pytest.mark.parametrize(
    ("name", "partition", "n_agents"),
    [
        *[("case14", partition, 2) for partition in ("measured", "published", "distance", "random")],
        ("case14", "single", 1),
        ("case5", "distance", 2),
        ("case5", "single", 1),
    ],
)
def test_the_partition_is_chosen_on_the_command_line(name, partition, n_agents):
    spec, agents = load(name, f"partition={partition}")
    assert spec.simulator.options["partition"] == partition
    assert len(agents) == n_agents


@pytest.mark.parametrize("name", TRAINED)
def test_a_shipped_file_says_itself_what_is_evaluated(name):
    spec, agents = load(name)
    assert spec.evaluator is not None
    played = evaluator_settings(spec, agents)["options"]
    assert played == spec.evaluator.options  # nothing is laid under it
    training = spec.simulator.options
    assert not may_have_met(spec.simulator.grid, training, {**training, **played})


@pytest.mark.parametrize("name", ["case5", "case14_storage"])
def test_chronics_for_evaluation_are_never_trained_on(name):
    spec, _ = load(name)
    assert spec.evaluator is not None
    names = simulator.make(spec.simulator.grid).grid._system.chronics
    trained = set(spec.simulator.options["chronics"])
    held_out = {names[chronic] for chronic, _ in spec.evaluator.options["scenarios"]}
    assert trained <= set(names)
    assert not trained & held_out
    assert len(trained) + len(held_out) == len(names)
    assert len(spec.evaluator.options["scenarios"]) == spec.evaluator.episodes
