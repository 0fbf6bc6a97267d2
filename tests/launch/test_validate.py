"""The schema: every fault of a launch file at once, each with its file, line and key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from agents.critic.settings import CriticSettings
from agents.settings import AgentSettings
from launch.agent_names import agents_of, check_names
from launch.arguments import parse_overrides
from launch.assemble import assemble
from launch.errors import LaunchFileError
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.run_folder import RunFolder
from launch.spec import CriticSpec, LaunchSpec, SimulatorSpec
from launch.validate import validate
from launch.yaml_tree import parse_yaml
from simulator.settings import SimulatorSettings

LEAST = "name: x\nsimulator: {grid: synthetic}\n"
OF_RECORDED_RUNS = ("replay_to_agents", "replay_of_agents", "fork")  # tests/ensemble/test_replay.py has them
FILES = sorted(
    file
    for file in (Path(__file__).parents[2] / "launch" / "files").glob("*.yaml")
    if file.stem not in OF_RECORDED_RUNS
)


def faults(text: str) -> list[str]:
    with pytest.raises(LaunchFileError) as caught:
        validate(parse_yaml(text, "x.yaml"))
    return [str(fault) for fault in caught.value.faults]


def spec_of(text: str) -> LaunchSpec:
    return validate(parse_yaml(text, "x.yaml"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LEAST + "agents:\n  n_step: 3\n", "x.yaml:4: agents.n_step: unknown key, did you mean n_steps?"),
        (LEAST + "agents:\n  updates: '3'\n", "x.yaml:4: agents.updates: got '3', expected an integer"),
        (LEAST + "agents: {updates: 0}\n", "x.yaml:3: agents.updates: got 0, expected greater than"),
        (LEAST + "agents: {algorithm: po}\n", "did you mean ppo?"),
        (LEAST + "agents: 3\n", "x.yaml:3: agents: got 3, expected a mapping"),
        (LEAST + "agents: {hyperparameters: {gama: 1}}\n", "unknown key, did you mean gamma?"),
        (LEAST + "agents:\n  overrides:\n    west: {loud: 1}\n",
         "x.yaml:5: agents.overrides.west.loud: unknown key, did you mean load?"),
        (LEAST + "agents: {hyperparameters: {clip_range: x}}\n", "clip_range: got 'x', expected a number"),
        (LEAST + "agents: {hyperparameters: {clip_range: 0}}\n", "clip_range: got 0, expected greater than"),
        (LEAST + "agents: {hyperparameters: {learning_rate: {start: 1, edn: 2}}}\n",
         "hyperparameters.learning_rate.edn: unknown key, did you mean end?"),
        (LEAST + "agents: {hyperparameters: {learning_rate: {start: 1, end: 0}}}\n",
         "x.yaml:3: agents.hyperparameters.learning_rate.end: got 0, expected greater than"),
        (LEAST + "critic: {popart: 1}\n", "critic.popart: got 1, expected true or false"),
        (LEAST + "critic: {hidden: [1, x]}\n", "x.yaml:3: critic.hidden.1: got 'x', expected an integer"),
        (LEAST + "critic: {mode: none}\n", "x.yaml:3: critic.mode: got 'none', but agents.mode is 'train'"),
        (LEAST + "critic: {history_ticks: 100}\n", "critic.history_ticks: got 100, expected more than"),
        (LEAST + "sead: 1\n", "x.yaml:3: sead: unknown key, did you mean seed?"),
        (LEAST + "nodes: {rec: {modul: x}}\n", "nodes.rec.modul: unknown key, did you mean module?"),
        (LEAST + "nodes: {'a b': {module: x}}\n", "a name of letters, digits"),
        (LEAST + "broker: {external: true}\n", "broker.external: needs broker.address"),
        (
            "name: x\nsimulator: {grid: synthetic, n_envs: 6, copies_per_scenario: 4}\n",
            "simulator.copies_per_scenario: got 4, expected a divisor of simulator.n_envs = 6",
        ),
        (LEAST + "agents: {n_steps: 32, updates: 2}\nplayer: {role: fork, bag: b, fork_at: 64}\n",
         "x.yaml:4: player.fork_at: got 64, but the run has 64 ticks; give an earlier one"),
        (LEAST + "player:\n  {role: fork, bag: b, fork_at: 9, max_ticks: 9}\n", "but the run has 9 ticks"),
        ("name: x\n", "simulator: is missing"),
        ("name: x\nsimulator: {grid: g, period_s: 1.0}\n", "simulator.period_s: is for simulator.mode"),
        ("name: x\nsimulator:\n  grid: g\n  scada:\n    default: {measurement: {delay: {fixd: 1}}}\n",
         "x.yaml:5: simulator.scada.default.measurement.delay.fixd: unknown key, did you mean fixed?"),
        ("name: x\nsimulator:\n  grid: g\n  scada:\n    default: {measurement: {loss: lots}}\n",
         "x.yaml:5: simulator.scada.default.measurement.loss: got 'lots', expected a number"),
        ("name: x\nsimulator:\n  grid: g\n  scada: {default: {command: {loss: 2.0}}}\n",
         "x.yaml:4: simulator.scada: "),
    ],
)  # fmt: skip
def test_a_wrong_key_type_or_value_is_named_with_its_line(text: str, complaint: str) -> None:
    found = faults(text)
    assert any(complaint in fault for fault in found)


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    found = faults("seed: -1\nname: 3\nsimulator: {}\nagnets: {}\n")
    assert [fault.partition(" ")[0] for fault in found] == [f"x.yaml:{line}:" for line in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "name: x\nsimulator: {grid: gird}\n",
            "x.yaml:2: simulator.grid: grid 'gird': no such grid; known are",
        ),
        (
            "name: x\nsimulator:\n  grid: synthetic\n  options: {nonsense: 1}\n",
            "x.yaml:4: simulator.options: ",
        ),
        (
            LEAST + "agents: {overrides: {block_7: {}}}\n",
            "x.yaml:3: agents.overrides.block_7: the grid has no",
        ),
        (LEAST + "nodes: {block_0: {module: m}}\n", "x.yaml:3: nodes.block_0: the name is used twice"),
        (
            LEAST + "agents: {mode: act}\n",
            "x.yaml:3: agents.mode: is 'act', but block_0, block_1 has nothing",
        ),
        (LEAST + "nodes: {critic: {module: m}}\n", "x.yaml:3: nodes.critic: the name is used twice"),
        (
            "name: x\nsimulator:\n  grid: synthetic\n  scada: {agents: {blok_0: {}}}\n",
            "did you mean block_0?",
        ),
    ],
)
def test_a_launch_file_must_agree_with_its_grid(text: str, complaint: str) -> None:
    root = parse_yaml(text, "x.yaml")
    with pytest.raises(LaunchFileError) as caught:
        agents_of(root, validate(root))
    assert complaint in str(caught.value)


def test_a_grid_that_names_two_agents_alike_is_refused() -> None:
    root = parse_yaml(LEAST, "x.yaml")
    found = [str(fault) for fault in check_names(root, validate(root), ("a", "b", "a", "critic"))]
    assert len(found) == 2
    assert "the grid names 2 agents 'a'" in found[0]
    assert "the grid names an agent 'critic', which is another node's name" in found[1]


def test_the_simulator_section_knows_every_setting_a_user_needs() -> None:
    own = {
        "seed",
        "run_dir",
        "retry_s",
        "max_ticks",
        "history_ticks",
        "wait_for",
        "companions",
    }  # the launcher's, or nobody's business
    assert {field.name for field in fields(SimulatorSettings)} - own <= set(SimulatorSpec.model_fields)


def test_the_critic_section_knows_every_setting_of_the_critic_and_no_other() -> None:
    settings = {field.name for field in fields(CriticSettings)} - {"seed"}
    assert set(CriticSpec.model_fields) - {"mode", "external", "restart"} == settings
    assert CriticSettings() == CriticSettings(
        **{name: getattr(CriticSpec(), name) for name in settings}, seed=0
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_launch_file_gives_nodes_settings_that_they_accept(file: Path) -> None:
    root = read_launch_file(file, parse_overrides([])).root
    spec = checked(root)
    program = assemble(spec, agents_of(root, spec), RunFolder(Path("/run")), "ipc:///bus")
    settings = {node.name: node.config for node in program.nodes}
    SimulatorSettings.from_dict(settings["simulator"])
    for node in program.nodes:
        if node.finite:
            AgentSettings.from_dict(node.config)
    assert len(settings) == len(program.nodes)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_resolved_file_of_a_run_repeats_the_run(file: Path, tmp_path: Path) -> None:
    spec = checked(read_launch_file(file, parse_overrides(["seed=7"])).root)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_config(spec.model_dump(mode="json", exclude_defaults=True), str(file))
    again = checked(read_launch_file(folder.path / "config.yaml", parse_overrides([])).root)
    assert again == spec


def test_seeds_differ_between_roles_and_do_not_depend_on_who_takes_part() -> None:
    text = LEAST + "seed: 5\n"
    other = text + "agents: {overrides: {block_0: {baseline: random}}}\ncritic: {mode: independent}\n"
    agents = ("block_0", "block_1")
    seeds = []
    for spec in (spec_of(text), spec_of(other)):
        program = assemble(spec, agents, RunFolder(Path("/run")), "ipc:///bus")
        seeds.append({n.name: n.config["seed"] for n in program.nodes if "seed" in n.config})
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 3


def test_one_agent_can_differ_from_the_rest() -> None:
    text = (
        LEAST
        + """
agents:
  hyperparameters: {gamma: 0.9, n_epochs: 3}
  overrides:
    block_0: {hyperparameters: {gamma: 0.5}, restart: {when: never}, external: true}
    block_1: {baseline: random}
"""
    )
    program = assemble(spec_of(text), ("block_0", "block_1"), RunFolder(Path("/run")), "ipc:///bus")
    first, second = program.node("block_0"), program.node("block_1")
    assert first.config["hyperparameters"] == {"gamma": 0.5, "n_epochs": 3}
    assert first.external
    assert not first.restart.allows(0)
    assert second.config["baseline"] == "random"
    assert program.node("critic").config["agents"] == ["block_0"]


@pytest.mark.parametrize("text", ["critic: {mode: independent}\n", "agents: {baseline: do_nothing}\n"])
def test_no_critic_is_started_where_nobody_asks_it(text: str) -> None:
    program = assemble(spec_of(LEAST + text), ("block_0",), RunFolder(Path("/run")), "ipc:///bus")
    assert [node.name for node in program.nodes] == ["broker", "simulator", "block_0"]
