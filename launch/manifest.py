"""Bind the agents that a run saved into one ensemble: models/manifest.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from agents.ensemble_files import Manifest, newest_common_files, write_manifest
from launch.errors import LaunchError


def bind_models(run_dir: Path, learners: Sequence[str]) -> Manifest:
    """Write the manifest over the newest zips that all learners saved after the same update.

    Raises:
        LaunchError: the learners have no such zips.
    """
    models = run_dir / "models"
    files = newest_common_files(models, learners)
    if files is None:
        msg = f"{models}: agents {list(learners)} saved no policies after the same update; see logs/"
        raise LaunchError(msg)
    config = (run_dir / "nodes" / "simulator.json").read_bytes()
    simulator = json.loads(config)
    manifest = Manifest(
        grid=simulator["grid"],
        agents=files,
        critic="critic.pt" if (models / "critic.pt").exists() else None,
        config_sha256=hashlib.sha256(config).hexdigest(),
        updates=files[0].updates,
    )
    write_manifest(models, manifest)
    return manifest
