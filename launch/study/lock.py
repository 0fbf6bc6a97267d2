"""One command at a time works in a study's folder: a second would take a run in progress for a torn one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launch.errors import LaunchError

_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study's folder until the block ends, however it ends.

    Raises:
        LaunchError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            msg = (
                f"{folder}: process {file.read().strip() or 'unknown'} works in this folder; "
                "wait for its end, give another --out, or look with --table-only"
            )
            raise LaunchError(msg) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
