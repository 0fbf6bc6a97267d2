"""Where a table comes from: commit and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from launch.imports import ROOT


def commit() -> str:
    """Return the checkout's commit, marked where tracked files differ from it; "unknown" without git."""
    try:
        name = _git("rev-parse", "--short=10", "HEAD")
        return f"{name}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else name
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Return processor and number of cores."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")
        ]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} cores ({model})"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
