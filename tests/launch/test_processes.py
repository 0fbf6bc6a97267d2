"""The fork server is out of reach of Ctrl-C from its first instruction on."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import signal
from multiprocessing import forkserver, util

blocked = []
spawn = util.spawnv_passfds


def watched(*arguments):
    blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    return spawn(*arguments)


util.spawnv_passfds = watched
from launch.processes import start_fork_server

start_fork_server()
print(blocked, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
forkserver._forkserver._stop()
"""


def test_ctrl_c_is_blocked_while_the_helpers_of_multiprocessing_are_born() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[True, True] False", result.stderr
