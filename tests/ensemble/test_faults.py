"""Processes of a running ensemble are killed without warning; the run ends well all the same."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from agents.ensemble_files import read_manifest
from tests.ensemble.runs import Run, interrupt

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(240)]


@pytest.mark.parametrize("victim", ["block_0", "critic", "simulator", "broker"])
def test_a_run_survives_the_death_of_one_node(tmp_path, victim):
    with Run(tmp_path / "run", "updates=12") as run:
        run.wait_for_update(2)
        run.kill(victim)
        assert run.exit_code() == 0, run.text()
        saved = run.saved()
        assert max(update for agent, update in saved if agent == "block_1") == 12
        assert max(update for agent, update in saved if agent == "block_0") == 12
        assert run.log(victim).count("starts: python -m") == 2, run.text()
        assert run.left() == []


@pytest.mark.parametrize("victim", ["block_0", "critic"])
def test_a_node_that_somebody_tells_to_end_too_early_comes_back(tmp_path, victim):
    with Run(tmp_path / "run", "updates=12") as run:
        run.wait_for_update(2)
        run.kill(victim, signal.SIGTERM)
        assert run.exit_code() == 0, run.text()
        assert max(update for agent, update in run.saved() if agent == "block_0") == 12
        assert run.log(victim).count("starts: python -m") == 2, run.text()
        assert run.left() == []


def test_a_rule_acts_beside_learners_until_they_are_done_whoever_is_killed(tmp_path):
    with Run(tmp_path / "run", "updates=12", 'agents.overrides={"block_1": {"baseline": "random"}}') as run:
        run.wait_until(lambda: ("block_0", 2) in run.saved())
        run.kill("block_1")
        assert run.exit_code() == 0, run.text()
        timing = json.loads((run.folder / "timing" / "simulator.json").read_text())
        assert timing["ticks"] == 12 * 32
        assert run.log("block_1").count("starts: python -m") == 2, run.text()
        assert run.left() == []


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path):
    with Run(tmp_path / "run", "updates=1000") as run:
        run.wait_for_update()
        assert {"broker", "simulator", "critic", "block_0", "block_1"} <= set(run.nodes())
        run.process.kill()
        run.process.wait(5)
        assert run.left(after_s=2.0) == []


def test_ctrl_c_ends_everything_in_order_with_the_usual_exit_code(tmp_path):
    with Run(tmp_path / "run", "updates=1000") as run:
        run.wait_for_update()
        interrupt(run.process)
        assert run.exit_code(timeout_s=5.0) == 128 + signal.SIGINT
        assert run.left() == []
        assert {agent for agent, _ in run.saved()} == {"block_0", "block_1"}
        found = read_manifest(run.folder / "models").agents  # as agents.load reads it
        assert [entry.agent for entry in found] == ["block_0", "block_1"]
        assert found[0].updates == found[1].updates >= 1


def test_a_second_ctrl_c_leaves_no_sockets_behind(tmp_path):
    with Run(tmp_path / "run", "updates=1000") as run:
        run.wait_for_update()
        sockets = Path((run.folder / "broker.address").read_text().strip().removeprefix("ipc://")).parent
        assert sockets.is_dir()
        interrupt(run.process)
        interrupt(run.process)
        assert run.exit_code(timeout_s=10.0) == 128 + signal.SIGINT
        assert run.left() == []
    assert not sockets.exists()


def test_a_busy_address_is_refused_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with Run(tmp_path / "run", f"broker.address=tcp://127.0.0.1:{port}") as run:
            assert run.exit_code() == 1
    assert f"somebody listens at port {port} already; choose another address" in run.output.read_text()
    assert not list((run.folder / "logs").iterdir())
