"""Which broker the commands look at, and what they say if there is none."""

from __future__ import annotations

import pytest

from broker.errors import ConnectionFailedError
from launch.introspection import address
from launch.introspection.address import find_broker
from launch.introspection.errors import NoBrokerError
from launch.run_folder import RunFolder, point_latest

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def latest(tmp_path, monkeypatch):
    """The newest run below the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(address, "DEFAULT", f"ipc://{tmp_path}/nobody")
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.create()
    point_latest(folder)
    return folder


def test_the_newest_run_is_meant_if_none_is_named(ensemble, latest):
    latest.write_address(ensemble)
    assert find_broker(None) == ensemble


def test_the_default_port_is_tried_when_the_newest_run_is_over(ensemble, latest, monkeypatch):
    latest.write_address("ipc:///nowhere/b")
    monkeypatch.setattr(address, "DEFAULT", ensemble)
    assert find_broker(None) == ensemble


def test_without_any_broker_the_error_says_where_was_looked(latest, run_at):
    with pytest.raises(
        NoBrokerError, match=r"no broker found: runs/latest/broker.address does not exist, and"
    ):
        find_broker(None)
    latest.write_address("ipc:///nowhere/b")
    with pytest.raises(NoBrokerError, match="names ipc:///nowhere/b, where nobody listens any more"):
        find_broker(None)


def test_a_named_broker_that_is_not_there_is_an_error(run_at, tmp_path):
    done = run_at(f"ipc://{tmp_path}/b")("topic", "list")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        f"no broker answers at ipc://{tmp_path}/b: start one with `python -m broker"
    )


def test_an_address_that_is_none_is_an_error(run_at):
    done = run_at("localhost:5550")("node", "list")
    assert done.exit_code == 2
    assert "broker address 'localhost:5550': expected tcp://host:port" in done.stderr
    with pytest.raises(ConnectionFailedError):
        find_broker("tcp://host:99999")


def test_all_interfaces_are_no_broker_to_look_at(run_at):
    done = run_at("tcp://*:5550")("topic", "list")
    assert done.exit_code == 2
    assert done.stderr.endswith("write its name, such as tcp://localhost:5550\n")


def test_the_option_counts_more_than_the_environment(run_at, ensemble, tmp_path):
    run = run_at(f"ipc://{tmp_path}/b")
    assert "simulator" in run("node", "list", "--broker", ensemble).stdout
