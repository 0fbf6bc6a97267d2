"""Recorders as processes, as tests start and kill them."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


class Process:
    """A recorder as a process."""

    def __init__(self, address: str, folder: Path, limit: int | None = None, **settings: object) -> None:
        config = folder.with_suffix(".json")
        config.write_text(json.dumps({"folder": str(folder), **settings}))

        def limited() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        command = [sys.executable, "-m", "broker.bag.recorder", "--name", folder.name, "--broker", address]
        self.process = subprocess.Popen(
            [*command, "--config", str(config)],
            cwd=ROOT,
            preexec_fn=limited,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
