"""Saved ensembles: one ordinary SB3 zip per agent, and a manifest that says which zips belong together.

Agents save on their own, one process each, and any of them may be killed while it writes. So a file is
never changed once it has its name: a save makes a new zip, the manifest is replaced as a whole when every
agent has one, and only then do older zips go. Whatever moment a kill picks, the manifest in the folder
names files that are there and are the ones it means.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import torch as th
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv

from agents.ensemble_ppo import ALGORITHMS, SharedCriticAlgorithm
from agents.errors import EnsembleFileError
from agents.files import write_atomically

MANIFEST = "manifest.json"
KEPT = 3  # newest zips of an agent that stay, besides the one in the manifest
_CARD = "ensemble.json"  # what a zip says of itself; SB3 passes over it
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ZIP = re.compile(r"([A-Za-z0-9_.-]+)-\d{6,}-[0-9a-f]{8}\.zip")  # as save_agent names them
_UNKNOWN = "unknown"  # the grid of zips that no manifest binds


class AgentFile(BaseModel):
    """One agent's zip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str
    algorithm: str  # a class of agents.ensemble_ppo
    file: str  # name in the folder
    updates: int = Field(ge=0)  # rollouts learned from
    policy_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  # see policy_sha256()


class Manifest(BaseModel):
    """Which files make up a saved ensemble, and what they were trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    grid: str
    agents: tuple[AgentFile, ...]
    critic: str | None = None  # file name in the folder
    partition_sha256: str | None = None
    config_sha256: str | None = None
    tick: int = Field(default=0, ge=0)
    updates: int = Field(default=0, ge=0)

    def agent(self, name: str) -> AgentFile:
        """Return the entry of agent `name`.

        Raises:
            EnsembleFileError: there is no such agent.
        """
        for entry in self.agents:
            if entry.agent == name:
                return entry
        known = ", ".join(entry.agent for entry in self.agents)
        message = f"{MANIFEST} of grid {self.grid} has no agent {name!r}; it has: {known}"
        raise EnsembleFileError(message)


def policy_sha256(policy: th.nn.Module) -> str:
    """Return the SHA-256 over name, type, shape and bytes of every tensor of a policy, in order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(policy.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_agent(folder: Path, agent: str, model: OnPolicyAlgorithm) -> AgentFile:
    """Save an agent between two rollouts; its older zips go, but for the newest few and the manifest's.

    Args:
        folder: The ensemble's folder; made if absent.
        agent: The agent's name: letters, digits, dot, dash and underscore.
        model: One of the algorithms in agents.ensemble_ppo.

    Raises:
        EnsembleFileError: the name cannot be a file's, or the algorithm is not one of an ensemble.
    """
    if not _NAME.fullmatch(agent):
        message = f"agent name {agent!r} cannot be a file name: use letters, digits, '_', '.', '-'"
        raise EnsembleFileError(message)
    if type(model).__name__ not in ALGORITHMS:
        message = f"agent {agent}: {type(model).__name__} is not one of {', '.join(sorted(ALGORITHMS))}"
        raise EnsembleFileError(message)
    updates = model.num_timesteps // (model.n_steps * model.n_envs)
    sha256 = policy_sha256(model.policy)
    entry = AgentFile(
        agent=agent,
        algorithm=type(model).__name__,
        file=f"{agent}-{updates:06d}-{sha256[:8]}.zip",
        updates=updates,
        policy_sha256=sha256,
    )
    content = io.BytesIO()
    model.save(content)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(_CARD, entry.model_dump_json())
    write_atomically(folder / entry.file, content.getvalue())
    _remove_older(folder, _files_of(folder, agent)[:-KEPT])
    return entry


def newest_agent_file(folder: Path, agent: str) -> AgentFile | None:
    """Return the newest zip of an agent, or None if it has none."""
    files = _files_of(folder, agent)
    return files[-1] if files else None


def newest_common_files(folder: Path, agents: Iterable[str]) -> tuple[AgentFile, ...] | None:
    """Return one zip per agent, all after the same number of updates, the newest such set; None if none."""
    found = [{entry.updates: entry for entry in _files_of(folder, agent)} for agent in agents]
    common = set.intersection(*(set(by_updates) for by_updates in found)) if found else set()
    return tuple(by_updates[max(common)] for by_updates in found) if common else None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make `manifest` the folder's.

    Raises:
        EnsembleFileError: a file that it names is missing or is not the one that it means.
    """
    _check(folder, manifest)
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """Return a saved ensemble's manifest; of an interrupted run, one over its newest common zips.

    Raises:
        EnsembleFileError: there is neither, it is damaged or of another format, or its files are not all
            there.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        unbound = _newest_ensemble(folder)
        if unbound is None:
            message = (
                f"{folder} has no {MANIFEST}, and no zips of all agents after the same update: "
                "give the models folder of a run that has saved"
            )
            raise EnsembleFileError(message) from error
        return unbound
    except ValidationError as error:
        message = f"{path} is not a manifest of format 1: {error}"
        raise EnsembleFileError(message) from error
    _check(folder, manifest)
    return manifest


def load_agent(folder: Path, agent: str, env: GymEnv | None = None) -> SharedCriticAlgorithm:
    """Load one agent of a saved ensemble.

    Raises:
        EnsembleFileError: as in read_manifest; or the policy is not the one that was saved.
    """
    return load_file(folder, read_manifest(folder).agent(agent), env)


def load_file(
    folder: Path, entry: AgentFile, env: GymEnv | None = None, *, force_reset: bool = True
) -> SharedCriticAlgorithm:
    """Load the agent of one zip; `force_reset` as in SB3's load.

    Raises:
        EnsembleFileError: the policy is not the one that was saved.
    """
    model = ALGORITHMS[entry.algorithm].load(folder / entry.file, env=env, force_reset=force_reset)
    found = policy_sha256(model.policy)
    if found != entry.policy_sha256:
        message = (
            f"{folder / entry.file}: policy has SHA-256 {found}, expected {entry.policy_sha256}: "
            "the file was changed after it was saved"
        )
        raise EnsembleFileError(message)
    return model


def _check(folder: Path, manifest: Manifest) -> None:
    names = [entry.agent for entry in manifest.agents]
    if len(set(names)) != len(names):
        message = f"{folder / MANIFEST}: an agent appears twice among {names}"
        raise EnsembleFileError(message)
    for entry in manifest.agents:
        found = read_card(folder / entry.file)
        if found != entry:
            message = (
                f"{folder / entry.file} is {found!r}, expected {entry!r}: restore the file or save again"
            )
            raise EnsembleFileError(message)
    if manifest.critic is not None and not (folder / manifest.critic).is_file():
        message = f"{folder / manifest.critic} is missing, but {MANIFEST} names it as the critic"
        raise EnsembleFileError(message)


def read_card(path: Path) -> AgentFile:
    """Return what a zip says of itself. Raises EnsembleFileError if it is no saved agent."""
    try:
        with zipfile.ZipFile(path) as archive:
            card = AgentFile.model_validate_json(archive.read(_CARD))
    except (OSError, zipfile.BadZipFile, KeyError, ValidationError) as error:
        message = f"{path} cannot be read as a saved agent ({error}): restore the file or save again"
        raise EnsembleFileError(message) from error
    if card.algorithm not in ALGORITHMS:
        message = f"{path} has algorithm {card.algorithm!r}, expected one of {', '.join(sorted(ALGORITHMS))}"
        raise EnsembleFileError(message)
    return card


def _newest_ensemble(folder: Path) -> Manifest | None:
    """Return a manifest over what the agents with zips in a folder saved last after the same update."""
    agents = sorted({name[1] for path in folder.glob("*.zip") if (name := _ZIP.fullmatch(path.name))})
    files = newest_common_files(folder, agents)
    return Manifest(grid=_UNKNOWN, agents=files, updates=files[0].updates) if files else None


def _files_of(folder: Path, agent: str) -> list[AgentFile]:
    """Return the agent's zips, fewest updates first, then oldest first."""
    found: list[tuple[int, int, AgentFile]] = []
    for path in folder.glob(f"{agent}-*.zip"):
        try:
            entry, saved = read_card(path), path.stat().st_mtime_ns
        except (EnsembleFileError, FileNotFoundError):
            if path.exists():
                raise
            continue  # its agent has just removed it
        if entry.agent == agent:  # another agent's name may begin with this one's
            found.append((entry.updates, saved, entry))
    return [entry for _, _, entry in sorted(found, key=lambda item: item[:2])]


def _remove_older(folder: Path, entries: Iterable[AgentFile]) -> None:
    named: set[str] = set()
    with contextlib.suppress(EnsembleFileError):
        if (folder / MANIFEST).exists():
            named = {entry.file for entry in read_manifest(folder).agents}
    for entry in entries:
        if entry.file not in named:
            (folder / entry.file).unlink(missing_ok=True)
