"""A saved ensemble is whole at any moment, and says what is wrong when somebody breaks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from agents import EnsemblePPO
from agents.ensemble_files import (
    KEPT,
    MANIFEST,
    Manifest,
    load_agent,
    newest_agent_file,
    newest_common_files,
    policy_sha256,
    read_manifest,
    save_agent,
    write_manifest,
)
from agents.errors import EnsembleFileError
from agents.files import write_atomically

from .test_own_generators import KINDS, build

NAMES = ("area_0", "area_1", "area_1-west")


@pytest.fixture
def saved(critic: Callable[..., str], tmp_path: Path) -> Path:
    """A folder with one agent of each kind and a critic file."""
    write_atomically(tmp_path / "critic.pt", b"weights")
    entries = tuple(
        save_agent(tmp_path, name, build(kind, critic())) for name, kind in zip(NAMES, KINDS, strict=True)
    )
    manifest = Manifest(grid="frequency68", agents=entries, critic="critic.pt", partition_sha256="ab", tick=7)
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_what_is_saved_is_what_is_loaded(saved: Path, critic: Callable[..., str]) -> None:
    manifest = read_manifest(saved)
    assert [entry.agent for entry in manifest.agents] == list(NAMES)
    assert manifest.grid == "frequency68"
    assert manifest.tick == 7
    for name, kind in zip(NAMES, KINDS, strict=True):
        model = load_agent(saved, name)
        assert type(model) is KINDS[kind][0]
        assert policy_sha256(model.policy) == manifest.agent(name).policy_sha256
    with pytest.raises(EnsembleFileError, match="has no agent 'area_9'; it has: area_0, area_1, area_1-west"):
        load_agent(saved, "area_9")


def test_a_zip_of_an_ensemble_is_an_ordinary_sb3_zip(saved: Path) -> None:
    assert isinstance(PPO.load(saved / read_manifest(saved).agent("area_0").file, device="cpu"), PPO)


def test_older_zips_go_but_not_the_manifests(critic: Callable[..., str], saved: Path) -> None:
    model = build("ppo", critic())
    for _ in range(KEPT + 2):
        model.learn(64, reset_num_timesteps=False)
        save_agent(saved, "area_0", model)
    zips = [path.name for path in saved.glob("area_0-*.zip")]
    assert len(zips) == KEPT + 1
    assert read_manifest(saved).agent("area_0").file in zips
    newest = newest_agent_file(saved, "area_0")
    assert newest is not None
    assert newest.updates == KEPT + 2
    assert newest_agent_file(saved, "nobody") is None


def test_the_newest_common_files_are_after_as_many_updates(
    critic: Callable[..., str], tmp_path: Path
) -> None:
    ahead, behind = build("ppo", critic()), build("maskable", critic())
    for model, name, updates in ((ahead, "a", 3), (behind, "b", 2)):
        for _ in range(updates):
            model.learn(64, reset_num_timesteps=False)
            save_agent(tmp_path, name, model)
    common = newest_common_files(tmp_path, ["a", "b"])
    assert common is not None
    assert [(entry.agent, entry.updates) for entry in common] == [("a", 2), ("b", 2)]
    assert newest_common_files(tmp_path, ["a", "b", "c"]) is None


def test_without_a_manifest_the_newest_zips_of_the_same_update_are_the_ensemble(
    saved: Path, critic: Callable[..., str]
) -> None:
    bound = read_manifest(saved)
    (saved / MANIFEST).unlink()  # as of a run that was interrupted
    ahead = build("ppo", critic())
    ahead.num_timesteps += ahead.n_steps * ahead.n_envs
    assert save_agent(saved, "area_0", ahead).updates == 1  # the others are at 0
    (saved / "somebody-else.zip").write_bytes(b"not ours")
    assert read_manifest(saved).agents == bound.agents
    for name in NAMES:
        assert policy_sha256(load_agent(saved, name).policy) == bound.agent(name).policy_sha256


def test_a_folder_without_policies_is_no_ensemble(tmp_path: Path) -> None:
    with pytest.raises(EnsembleFileError, match=r"has no manifest\.json, and no zips of all agents after"):
        read_manifest(tmp_path)


def test_the_hash_is_over_names_and_values(critic: Callable[..., str]) -> None:
    model = build("ppo", critic())
    before = policy_sha256(model.policy)
    assert before == policy_sha256(build("ppo", critic()).policy)
    bias = model.policy.action_net.bias
    bias.data[0] = np.nextafter(bias.data[0].item(), 1.0, dtype=np.float32).item()
    assert policy_sha256(model.policy) != before


def break_file(folder: Path) -> str:
    (folder / read_manifest(folder).agent("area_0").file).write_bytes(b"not a zip")
    return "cannot be read as a saved agent"


def lose_file(folder: Path) -> str:
    (folder / read_manifest(folder).agent("area_0").file).unlink()
    return "cannot be read as a saved agent"


def swap_files(folder: Path) -> str:
    manifest = read_manifest(folder)
    content = (folder / manifest.agent("area_0").file).read_bytes()
    (folder / manifest.agent("area_1").file).write_bytes(content)
    return "expected AgentFile"


def lose_critic(folder: Path) -> str:
    (folder / "critic.pt").unlink()
    return "critic.pt is missing"


def other_format(folder: Path) -> str:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, "format": 2}))
    return "not a manifest of format 1"


def cut_manifest(folder: Path) -> str:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:40])
    return "not a manifest of format 1"


def name_twice(folder: Path) -> str:
    content = json.loads((folder / MANIFEST).read_text())
    content["agents"].append(content["agents"][0])
    (folder / MANIFEST).write_text(json.dumps(content))
    return "appears twice"


@pytest.mark.parametrize(
    "damage",
    [break_file, lose_file, swap_files, lose_critic, other_format, cut_manifest, name_twice],
)
def test_damage_is_found_and_named(damage: Callable[[Path], str], saved: Path) -> None:
    expected = damage(saved)
    with pytest.raises(EnsembleFileError, match=expected):
        read_manifest(saved)


def test_a_name_that_cannot_be_a_file_is_refused(critic: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(EnsembleFileError, match="use letters, digits"):
        save_agent(tmp_path, "../agent", build("ppo", critic()))
    assert not list(tmp_path.iterdir())


class Killed(BaseException):
    """Stands for the process being gone."""


@pytest.mark.parametrize("moment", range(1, 6))
def test_a_save_cut_short_at_any_write_leaves_a_whole_ensemble(
    moment: int, critic: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("ppo", critic())

    def save() -> None:
        entry = save_agent(tmp_path, "a", model)
        write_manifest(tmp_path, Manifest(grid="g", agents=(entry,), updates=entry.updates))

    save()
    model.learn(64)
    calls = iter(range(1, 100))
    for owner, name in ((os, "fsync"), (Path, "replace")):
        original = getattr(owner, name)

        def guarded(*args: object, original: Callable[..., object] = original) -> object:
            if next(calls) == moment:
                raise Killed
            return original(*args)

        monkeypatch.setattr(owner, name, guarded)
    if moment <= 4:  # two files, each flushed and renamed
        with pytest.raises(Killed):
            save()
    else:
        save()
    assert read_manifest(tmp_path).updates == (0 if moment <= 4 else 1)
    load_agent(tmp_path, "a")


SAVER = """
import sys
from pathlib import Path
from agents import EnsemblePPO, sources
from agents.ensemble_files import Manifest, save_agent, write_manifest
from worlds import TinyWorld, BOX
folder = Path(sys.argv[1])
model = EnsemblePPO("MlpPolicy", TinyWorld(BOX), critic="nobody", n_steps=16, seed=0)
print("ready", flush=True)
while True:
    model.num_timesteps += 64
    model.policy.action_net.bias.data += 0.01
    entry = save_agent(folder, "a", model)
    write_manifest(folder, Manifest(grid="g", agents=(entry,), updates=entry.updates))
"""


def test_a_kill_in_mid_save_leaves_a_whole_ensemble(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    here = Path(__file__)
    path = os.pathsep.join([str(here.parents[3]), str(here.parent)])
    saver = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        assert saver.stdout is not None
        assert saver.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 30.0
        while not (folder / MANIFEST).exists() or read_manifest(folder).updates < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        saver.send_signal(signal.SIGKILL)
        saver.communicate(timeout=10)
    manifest = read_manifest(folder)
    assert manifest.updates >= 5
    assert isinstance(load_agent(folder, "a"), EnsemblePPO)
