"""What the fork server imports once, so that every agent has it at birth.

Importing torch and Stable-Baselines3 costs a fresh process seconds and hundreds of megabytes; a fork
costs milliseconds and shares the pages. Multiprocessing's fork server imports this module by name,
so its work happens on import, and only there.
"""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from importlib import import_module

from launch.child import bind_forks, die_with_parent

SUPERVISOR = "CHORUS_SUPERVISOR"  # process id
MODULES = "CHORUS_PRELOAD"  # names with commas


def prepare_server(supervisor: int, modules: list[str]) -> None:
    """Make this process, the fork server, fit to be the parent of nodes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with suppress(PermissionError):
        os.setpgid(0, 0)
    die_with_parent(supervisor)
    bind_forks()
    for module in modules:
        # A node whose import fails says so itself, in its own log, when it runs.
        with suppress(Exception):
            import_module(module)
    gc.collect()
    gc.freeze()  # the collector must not write into pages that the children share


if os.environ.get(SUPERVISOR) == str(os.getppid()):
    prepare_server(os.getppid(), [name for name in os.environ.get(MODULES, "").split(",") if name])
