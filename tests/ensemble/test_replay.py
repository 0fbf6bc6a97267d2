"""A recorded run trades places with the simulator or with the agents, or forks: compared bit by bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import simulator
from broker.bag.errors import BagError
from broker.bag.reader import Bag
from broker.bag.rounds import Round, rounds
from broker.bag.verify import verify
from launch.fork import ForkedWorld, ForkSettings
from tests.ensemble.runs import ROOT, Run

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(240)]
FILES = ROOT / "launch" / "files"
TICKS = 64


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training run that was recorded."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    with Run(folder, "updates=2", "record=true") as run:
        assert run.exit_code() == 0, run.text()
        assert run.left() == []
    return folder


def replay(file: str, folder: Path, recorded: Path, *overrides: str) -> Path:
    """Launch one of the files for recorded runs to its end."""
    with Run(folder, f"run={recorded}", *overrides, file=FILES / f"{file}.yaml") as run:
        assert run.exit_code() == 0, run.text()
        assert run.left() == []
    return folder


def comparison(folder: Path) -> dict[str, object]:
    return json.loads((folder / "comparison.json").read_text())


def ticks(folder: Path) -> list[Round]:
    return list(rounds(folder / "bag"))


def test_a_recorded_run_has_every_message_from_the_first_on(recorded: Path) -> None:
    verdict = verify(recorded / "bag")
    assert verdict.whole, verdict
    late = [note for note in verdict.notes if "/nodes/" not in str(note)]
    assert late == []
    run = ticks(recorded)
    assert [r.tick for r in run] == list(range(TICKS + 1))
    assert all(set(r.actions) == {"block_0", "block_1"} for r in run[:-1])
    with Bag(recorded / "bag") as bag:
        launched = json.loads(bag.metadata["run"]["launch_file"])
        assert launched["simulator"]["grid"] == "synthetic"
        assert bag.topics()["/grid/description"].latched


def test_agents_that_learn_from_a_bag_act_as_they_did(recorded: Path, tmp_path: Path) -> None:
    folder = replay("replay_to_agents", tmp_path / "replay", recorded, "rate=20.0")
    found = comparison(folder)
    assert found["compared"] == found["identical"] == 2 * TICKS
    assert found["missing"] == found["unexpected"] == 0
    said = folder.with_suffix(".out").read_text()
    assert f"simulator: replay to agents: {2 * TICKS} of {2 * TICKS} actions identical" in said


def test_agents_that_act_otherwise_than_recorded_fail_the_replay(recorded: Path, tmp_path: Path) -> None:
    with Run(tmp_path / "replay", f"run={recorded}", "seed=5", file=FILES / "replay_to_agents.yaml") as run:
        assert run.exit_code() == 1
        assert run.left() == []
    said = run.output.read_text()
    assert "ReplayError: replay to agents: " in said
    assert "simulator: ended with exit code 1" in said
    assert "Traceback" not in said


def test_recorded_actions_take_the_simulator_through_the_same_states(recorded: Path, tmp_path: Path) -> None:
    folder = replay("replay_of_agents", tmp_path / "replay", recorded)
    found = comparison(folder)
    assert f"player: replay of agents: {TICKS + 1} of {TICKS + 1} states identical" in (
        folder.with_suffix(".out").read_text()
    )
    assert found["compared"] == found["identical"] == TICKS + 1
    assert found["missing"] == 0


def test_recorded_actions_show_that_another_simulator_is_another(recorded: Path, tmp_path: Path) -> None:
    overrides = (f"run={recorded}", "seed=5")
    with Run(tmp_path / "replay", *overrides, file=FILES / "replay_of_agents.yaml") as run:
        assert run.exit_code() == 1
        assert run.left() == []
    assert "player: ended with exit code 1" in run.output.read_text()
    assert "Traceback" not in run.output.read_text()
    found = comparison(run.folder)
    assert found["compared"] == TICKS + 1
    assert found["identical"] < TICKS
    assert found["differences"]


def test_a_fork_with_the_same_policies_equals_the_run_bit_for_bit(recorded: Path, tmp_path: Path) -> None:
    forked = ticks(replay("fork", tmp_path / "fork", recorded, "at=20"))
    before = ticks(recorded)
    assert len(forked) == len(before)
    for now, then in zip(forked, before, strict=True):
        assert now.state.state.tobytes() == then.state.state.tobytes()
        assert {a: m.action.tobytes() for a, m in now.actions.items()} == {
            a: m.action.tobytes() for a, m in then.actions.items()
        }


def test_a_fork_with_another_delay_and_a_lost_agent_differs_only_after_it(
    recorded: Path, tmp_path: Path
) -> None:
    scada = "player.scada={default: {measurement: {delay: {fixed: 3.0}}}}"
    forked = ticks(replay("fork", tmp_path / "fork", recorded, "at=20", scada, "player.lost=[block_1]"))
    same = [
        now.state.state.tobytes() == then.state.state.tobytes()
        for now, then in zip(forked, ticks(recorded), strict=True)
    ]
    assert all(same[:21])
    assert not all(same[21:])


def test_a_bag_of_another_grid_is_refused(recorded: Path, tmp_path: Path) -> None:
    overrides = (f"run={recorded}", "simulator.n_envs=3")
    with Run(tmp_path / "replay", *overrides, file=FILES / "replay_of_agents.yaml") as run:
        assert run.exit_code() == 1
    assert "is of grid 'synthetic' with 2 copies" in run.text()
    assert "give it the options of the recorded run" in run.text()


@pytest.mark.parametrize(
    ("fork", "seed", "complaint"),
    [
        ({"at": 20}, 99, "at tick 0 the simulator's state is not the recorded one, so it cannot be forked"),
        ({"at": TICKS + 1}, 0, f"ends at tick {TICKS}, so it cannot be forked at {TICKS + 1}"),
        ({"at": 20, "lost": ("west",)}, 0, r"unknown agents \['west'\] to be lost"),
    ],
)
def test_forks_that_cannot_be_are_refused(
    recorded: Path, fork: dict[str, object], seed: int, complaint: str
) -> None:
    settings = ForkSettings(str(recorded / "bag"), **fork)  # type: ignore[arg-type]
    with pytest.raises(BagError, match=complaint):
        ForkedWorld(simulator.make("synthetic", n_envs=2, seed=seed), settings).reset()


def test_a_run_goes_on_without_its_recorder(tmp_path: Path) -> None:
    with Run(tmp_path / "run", "updates=4", "record=true", "recorder.restart.when=never") as run:
        run.wait_for_update()
        run.kill("recorder")
        assert run.exit_code() == 0, run.text()
        assert run.left() == []
    assert "the run goes on without it" in run.output.read_text()
    verdict = verify(run.folder / "bag")
    assert verdict.messages > 0
    assert not verdict.gaps
