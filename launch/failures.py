"""What is said when a node fails: who, how, what its log says, and what to do."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from launch.errors import NodeFailedError, StartError
from launch.logs import tail
from launch.run_folder import RunFolder
from launch.state import Slot


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def died_at_start(slot: Slot, code: int, folder: RunFolder) -> StartError:
    """Return the error of a node that ended before it was ready."""
    name = slot.node.name
    return StartError(f"{name}: {how_it_ended(code)} before it was ready; {_log(name, folder)}")


def died_for_good(slot: Slot, code: int, folder: RunFolder) -> NodeFailedError:
    """Return the error of a node that may not be restarted any more."""
    name = slot.node.name
    times = f" after {slot.restarts} restarts" if slot.restarts else ""
    return NodeFailedError(f"{name}: {how_it_ended(code)}{times}; {_log(name, folder)}")


def not_ready(late: Sequence[Slot], limit_s: float, folder: RunFolder) -> StartError:
    """Return the error of nodes that took too long."""
    names = ", ".join(slot.node.name for slot in late)
    logs = "\n".join(f"{slot.node.name}: {_log(slot.node.name, folder)}" for slot in late)
    return StartError(f"not ready {limit_s:g} s after the start: {names} (see ready_timeout_s)\n{logs}")


def no_broker(broker: Slot, address: str, folder: RunFolder) -> StartError:
    """Return the error of a broker that does not answer."""
    if broker.node.external:
        advice = f"start one with: python -m broker --address {address}"
        return StartError(f"broker {address}: nobody answers there; {advice}")
    return StartError(f"broker {address}: does not answer; {_log(broker.node.name, folder)}")


def _log(name: str, folder: RunFolder) -> str:
    return f"its log ({folder.log(name)}) ends\n{tail(folder.log(name))}"
