"""Run one process to its end, after the ensemble: it dies with the run, and logs as nodes do."""

from __future__ import annotations

import signal
import time

from launch import processes
from launch.display import Display
from launch.logs import Level, LogFollower
from launch.program import Node
from launch.run_folder import RunFolder

_TURN_S = 0.1
_GRACE_S = 2.0  # after Ctrl-C


def run_step(node: Node, folder: RunFolder, display: Display) -> int:
    """Run the process and show what it prints, but not what it only logs for information.

    Returns:
        its exit code; 130 if Ctrl-C ended it.
    """
    process = processes.start(node, folder.log(node.name))
    follower = LogFollower(node.name, folder.log(node.name))

    def show() -> None:
        for line in follower.new_lines():
            if line.level > Level.INFO or not line.text.startswith(("INFO ", "DEBUG ")):
                display.log(line)

    try:
        while process.exit_code() is None:
            time.sleep(_TURN_S)
            show()
    except KeyboardInterrupt:
        processes.send(process, signal.SIGINT)
        until = time.monotonic() + _GRACE_S
        while process.exit_code() is None and time.monotonic() < until:
            time.sleep(_TURN_S)
        return 130
    finally:
        processes.send(process, signal.SIGKILL)
        show()
    return process.exit_code() or 0
