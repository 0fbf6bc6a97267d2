"""What a process does to become a node of the ensemble.

It dies with its parent, leaves the terminal's process group (Ctrl-C reaches the supervisor only,
which ends its nodes in order), writes to its own log file, and then runs `python -m <module>`.

A child is forked from the fork server, or is a fresh interpreter running

    python -m launch.child <name> <parent's process id> <log file> <module> [arguments]
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_LIBC = ctypes.CDLL(None, use_errno=True)
_forking_parent = 0

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies, and die now if it is dead already.

    The kernel means the parent's thread: start children from a thread that lives on.
    """
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def bind_forks() -> None:
    """Let every process that is forked from this one, and from those, die with its parent."""
    os.register_at_fork(before=_remember_parent, after_in_child=_die_with_forking_parent)


def _remember_parent() -> None:
    global _forking_parent
    _forking_parent = os.getpid()


def _die_with_forking_parent() -> None:
    die_with_parent(_forking_parent)


def become(name: str, log_path: str, module: str, arguments: Sequence[str]) -> None:
    """Turn this process into the node `name`; returns or raises SystemExit as the module does."""
    with suppress(PermissionError):  # a session leader has a group of its own already
        os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _LIBC.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    _write_to(log_path)
    faulthandler.enable()
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    logging.captureWarnings(capture=True)
    logging.getLogger("launch").info("%s starts: python -m %s %s", name, module, " ".join(arguments))
    started = time.monotonic()
    try:
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        logging.getLogger("launch").info("%s ends after %.1f s", name, time.monotonic() - started)


def _write_to(log_path: str) -> None:
    """Send this process's output and error output to its log file, line by line."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def main(argv: Sequence[str]) -> None:
    """Run a fresh interpreter as a node."""
    name, parent, log_path, module, *arguments = argv
    die_with_parent(int(parent))
    bind_forks()
    become(name, str(Path(log_path)), module, arguments)


if __name__ == "__main__":
    # `python -m` runs this file as __main__; the hooks belong to the module of its real name.
    from launch import child

    child.main(sys.argv[1:])
