"""What an operator has ordered of the running simulator: pause, steps, a reset, the rate, the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from simulator.errors import OptionError
from simulator.settings import LONGEST_TICK_S

FASTEST = 1e9  # simulated seconds per second; no world is so fast
COMMANDS = "pause, resume, step, reset, rate, link, status, stop"


class Orders:
    """The orders in force.

    Args:
        dt_s: simulation time of a tick, in seconds.
        period_s: wall time of a tick in real-time mode; None: dt_s.
    """

    def __init__(self, dt_s: float, period_s: float | None) -> None:
        self.period_s = period_s or dt_s
        self.stopped = False
        self.reset_wanted = False
        self.reset_seed: int | None = None
        self.paused = False
        self._steps = 0  # ticks that are still to be done while paused
        self._dt_s = dt_s

    @property
    def holding(self) -> bool:
        """Return whether the next tick must wait."""
        return self.paused and self._steps == 0

    @property
    def interrupting(self) -> bool:
        """Return whether the tick in progress must be given up."""
        return self.stopped or self.reset_wanted

    def ticked(self) -> None:
        """Take note of a tick done."""
        self._steps = max(0, self._steps - 1)

    def obey(self, command: str, arguments: Mapping[str, Any]) -> None:
        """Take an order.

        Raises:
            OptionError: an unknown command, or an argument missing, unknown or out of range.
        """
        match command:
            case "pause" | "resume":
                _known(command, arguments)
                self.paused, self._steps = command == "pause", 0
            case "step":
                _known(command, arguments, "n")
                self.paused, self._steps = True, _whole("n", arguments.get("n", 1), least=1)
            case "reset":
                _known(command, arguments, "seed")
                seed = arguments.get("seed")
                self.reset_seed = None if seed is None else _whole("seed", seed, least=0)
                self.reset_wanted = True
            case "rate":
                _known(command, arguments, "rate")
                self.period_s = self._dt_s / _rate(arguments.get("rate"), self._dt_s / LONGEST_TICK_S)
            case "stop":
                _known(command, arguments)
                self.stopped = True
            case unknown:
                _refuse("command", unknown, f"one of {COMMANDS}")


def read_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of a command. Raises OptionError if they are no JSON object."""
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        _refuse("arguments", text, "a JSON object")
    return dict(arguments)


def _rate(value: object, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= FASTEST:
        _refuse("rate", value, f"simulated seconds per second from {least:.6g} (a tick a day) to {FASTEST:g}")
    return float(value)


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(name, value, f"an integer >= {least}")
    return int(value)


def _known(command: str, arguments: Mapping[str, Any], *names: str) -> None:
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        _refuse(f"{command}'s arguments", unknown, f"names out of {list(names)}")


def _refuse(what: str, got: object, expected: str) -> NoReturn:
    msg = f"/simulator/control: {what} is {got!r}, expected {expected}"
    raise OptionError(msg)
