"""The supervisor's laws, on real processes: who starts, who is started again, who ends, and how."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.ensemble.supervised import Run, assert_all_gone, supervise, wait_until

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(60)]

ENDLESS = {"ticks": -1}


def agent(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "kind": "AGENT", "forked": True, "settings": {"ticks": 50, **settings}}


def ensemble(*agents: dict[str, Any]) -> list[dict[str, Any]]:
    simulator = {"name": "simulator", "kind": "SIMULATOR", "settings": {"workers": 2}}
    critic = {"name": "critic", "kind": "CRITIC", "forked": True}
    return [simulator, critic, *agents]


def ended_at(run: Run, name: str) -> str:
    found = re.findall(rf"^(\S+ \S+) INFO launch: {name} ends", run.log(name), re.MULTILINE)
    return str(found[-1])


def test_a_run_ends_by_itself_when_its_agents_are_done(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a"), agent("b", print="careful"))) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        output = run.finish()
    assert run.code == 0
    assert "5 nodes ready" in output
    assert "[b] b: UserWarning: careful" in output
    assert "starts: python" not in output  # what only informs stays in the log
    assert_all_gone(everyone, within_s=2.0)


def test_a_run_ends_when_its_simulator_is_stopped(tmp_path: Path) -> None:
    simulator = {"name": "simulator", "kind": "SIMULATOR", "settings": {"ticks": 20}}
    with supervise(tmp_path / "run", [simulator, agent("a", **ENDLESS)]) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        output = run.finish()
    assert run.code == 0
    assert "the simulator was stopped: ending the run before a are done" in output
    assert_all_gone(everyone, within_s=2.0)


def test_a_broker_that_was_ended_in_order_comes_back(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a", ticks=200))) as run:
        run.wait_until_ready()
        run.node("broker").terminate()
        output = run.finish()
    assert run.code == 0
    assert "broker ended with exit code 0; restart 1" in output
    assert run.lives("broker") == 2


def test_nodes_end_in_reverse_order_of_their_start(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a"))) as run:
        run.finish()
    order = [ended_at(run, name) for name in ("a", "critic", "simulator", "broker")]
    assert order == sorted(order)


def test_every_node_killed_in_mid_run_comes_back_under_its_name(tmp_path: Path) -> None:
    names = ["a", "critic", "simulator", "broker"]
    with supervise(tmp_path / "run", ensemble(agent("a", ticks=100), agent("b", ticks=150))) as run:
        run.wait_until_ready()
        workers = run.node("simulator").children()
        for name in names:
            run.node(name).kill()
        assert_all_gone(workers, within_s=2.0)
        output = run.finish()
    assert run.code == 0
    assert len(workers) == 2
    for name in names:
        assert f"{name} was killed by SIGKILL; restart 1 of 3 in 0.1 s" in output
        assert run.lives(name) == 2
    assert run.lives("b") == 1


def test_a_node_that_keeps_dying_ends_the_run(tmp_path: Path) -> None:
    weak = {**agent("weak", die_at=10), "restart": {"max_restarts": 2, "first_delay_s": 0.05}}
    with supervise(tmp_path / "run", ensemble(agent("a", **ENDLESS), weak)) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        output = run.finish()
    assert run.code == 1
    assert run.lives("weak") == 3
    assert "weak: was killed by SIGKILL after 2 restarts; its log" in output
    assert_all_gone(everyone, within_s=2.0)


def test_ctrl_c_ends_everything_in_time(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a", **ENDLESS), agent("b", **ENDLESS))) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        pressed = time.monotonic()
        run.interrupt()
        run.finish()
    assert run.code == 130
    assert time.monotonic() - pressed < 3.0
    assert "Traceback" not in run.output
    assert_all_gone(everyone, within_s=1.0)


def test_ctrl_c_ends_even_what_ignores_signals(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("deaf", stubborn=True, **ENDLESS))) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        pressed = time.monotonic()
        run.interrupt()
        output = run.finish()
    assert run.code == 130
    assert time.monotonic() - pressed < 5.0
    assert "had to kill deaf" in output
    assert_all_gone(everyone, within_s=1.0)


def test_a_recorder_has_time_to_close_its_bag_however_many_hang(tmp_path: Path) -> None:
    recorder = {"name": "recorder", "kind": "RECORDER", "settings": {"ends_after_s": 1.0}}
    critic = {"name": "critic", "kind": "CRITIC", "forked": True, "settings": {"stubborn": True}}
    with supervise(tmp_path / "run", [recorder, critic, agent("deaf", stubborn=True, **ENDLESS)]) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        run.interrupt()
        output = run.finish()
    assert run.code == 130
    assert "had to kill critic, deaf\n" in output
    assert_all_gone(everyone, within_s=1.0)


def test_a_second_ctrl_c_kills_at_once(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("deaf", stubborn=True, **ENDLESS))) as run:
        run.wait_until_ready()
        everyone = run.everyone()
        run.interrupt()
        wait_until(lambda: not any(p.name() == "critic" for p in run.everyone()))
        pressed = time.monotonic()
        run.interrupt()
        run.finish()
    assert run.code == 130
    assert time.monotonic() - pressed < 1.0
    assert_all_gone(everyone, within_s=1.0)


def test_ctrl_c_during_the_imports_of_the_fork_server(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a", **ENDLESS)), preload=["torch"]) as run:
        wait_until(lambda: (tmp_path / "run" / "logs" / "broker.log").exists())
        everyone = run.everyone()
        run.interrupt()
        run.finish(timeout_s=10.0)
    assert run.code == 130
    assert "Traceback" not in run.output
    assert_all_gone(everyone, within_s=2.0)


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_nobody_survives_a_killed_supervisor(tmp_path: Path, moment: str) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a", **ENDLESS)), preload=["torch"]) as run:
        if moment == "running":
            run.wait_until_ready()
        else:
            wait_until(lambda: run.lives("broker") == 1)
        everyone = run.everyone()
        os.kill(run.pid, signal.SIGKILL)
        assert_all_gone(everyone, within_s=2.0)
    # broker, simulator with its two workers, fork server, resource tracker, critic, agent
    assert len(everyone) == 8 if moment == "running" else len(everyone) >= 2


def test_a_node_that_fails_at_its_start_is_named_with_its_log(tmp_path: Path) -> None:
    with supervise(tmp_path / "run", ensemble(agent("a"), agent("wrong", fail_at_start=True))) as run:
        output = run.finish()
    assert run.code == 1
    assert "wrong: ended with exit code 1 before it was ready; its log" in output
    assert "ValueError: no grid of that name" in output


def test_a_node_that_does_not_become_ready_is_named(tmp_path: Path) -> None:
    nodes = ensemble(agent("a"), agent("slow", never_ready=True))
    with supervise(tmp_path / "run", nodes, timeout=3.0) as run:
        output = run.finish()
    assert run.code == 1
    assert "not ready 3 s after the start: slow (see ready_timeout_s)" in output
    assert "slow starts: python -m tiny_node --name slow" in output


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with supervise(tmp_path / "run", [agent("a")], address=address) as run:
            output = run.finish()
    assert run.code == 1
    assert re.search(r"broker: ended with exit code 1 before it was ready", output)
    assert "in use" in output


def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with supervise(tmp_path / "run", [agent("a")], address=address, external_broker=True, timeout=2) as run:
        output = run.finish()
    assert run.code == 1
    assert f"broker {address}: nobody answers there; start one with" in output


def test_an_external_agent_is_waited_for(tmp_path: Path) -> None:
    away = {"name": "away", "kind": "AGENT", "external": True, "settings": {"ticks": 60}}
    with supervise(tmp_path / "run", ensemble(agent("a"), away)) as run:
        wait_until(lambda: run.lives("a") == 1)
        assert not any(p.name() == "away" for p in run.everyone())
        command = ["-m", "tiny_node", "--name", "away", "--broker", f"ipc://{tmp_path}/run.bus"]
        by_hand = start_by_hand([*command, "--config", str(tmp_path / "run" / "nodes" / "away.json")])
        output = run.finish()
        assert by_hand.wait(10.0) == 0
    assert run.code == 0
    assert "5 nodes ready" in output


def start_by_hand(arguments: list[str]) -> psutil.Popen:
    import sys

    from tests.ensemble.supervised import environment

    return psutil.Popen([sys.executable, *arguments], env=environment())
