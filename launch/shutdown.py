"""End nodes in order: the last to start is the first to go, and asking comes before force."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from launch.processes import Running, send
from launch.state import Slot

_POLL_S = 0.02


@dataclass(frozen=True)
class Patience:
    """How long nodes get to end by themselves."""

    stage_s: float  # after SIGINT, for each stage: agents, critic, simulator, extra nodes, broker
    total_s: float  # after the first SIGINT, for all stages together
    terminate_s: float  # after SIGTERM
    recorder_s: float  # after SIGINT, for the recorder, which comes when all others but the broker are gone

    @property
    def of_recorder(self) -> Patience:
        """Return the patience with the recorder alone."""
        return replace(self, stage_s=self.recorder_s, total_s=self.recorder_s)


REGULAR = Patience(stage_s=15.0, total_s=30.0, terminate_s=3.0, recorder_s=15.0)
# A recorder listens for 2 s more if nodes that are not ours keep the bus busy, then closes its bag.
INTERRUPTED = Patience(stage_s=1.2, total_s=2.4, terminate_s=0.6, recorder_s=2.4)


def stop_all(slots: Sequence[Slot], patience: Patience, meanwhile: Callable[[], None]) -> list[str]:
    """End all nodes that run.

    Args:
        slots: the nodes in the order of starting.
        patience: how long to wait before the next harder signal.
        meanwhile: called again and again while waiting.

    Returns:
        The names of the nodes that had to be killed.
    """
    give_up = time.monotonic() + patience.total_s
    for _, stage in groupby(reversed(slots), key=lambda slot: slot.node.kind):
        processes = [slot.process for slot in stage if slot.process is not None]
        for process in processes:
            send(process, signal.SIGINT)
        _wait(processes, min(give_up, time.monotonic() + patience.stage_s), meanwhile)
    stubborn = [slot for slot in slots if slot.process and slot.process.exit_code() is None]
    left = [slot.process for slot in stubborn if slot.process]
    for process in left:
        send(process, signal.SIGTERM)
    _wait(left, time.monotonic() + patience.terminate_s, meanwhile)
    killed = [slot.node.name for slot in stubborn if slot.process and slot.process.exit_code() is None]
    kill_all(slots)
    _wait(left, time.monotonic() + 1.0, meanwhile)
    return killed


def kill_all(slots: Sequence[Slot]) -> None:
    """Kill every node at once."""
    for slot in slots:
        if slot.process is not None:
            send(slot.process, signal.SIGKILL)


def _wait(processes: Sequence[Running], until: float, meanwhile: Callable[[], None]) -> None:
    while any(process.exit_code() is None for process in processes) and time.monotonic() < until:
        meanwhile()
        time.sleep(_POLL_S)
