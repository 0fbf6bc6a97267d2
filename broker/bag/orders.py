"""What an operator has ordered of a player: pause, resume, step, rate, seek, stop."""

from __future__ import annotations

import json
from typing import Any

from broker.bag.errors import BagError
from broker.bag.pace import Pace
from broker.bag.settings import check_rate

COMMANDS = "pause, resume, step, rate, seek, stop, status"


class Orders:
    """The orders in force.

    Args:
        pace: of the player.
        start_ns: first receive stamp of the bag.
        end_ns: and the last.
    """

    def __init__(self, pace: Pace, start_ns: int, end_ns: int) -> None:
        self.stopped = False
        self.steps = 0  # messages that may leave in a pause
        self.target_ns: int | None = None  # of a seek
        self._pace = pace
        self._start_ns = start_ns
        self._length_s = (end_ns - start_ns) / 1e9

    def obey(self, command: str, text: str) -> None:
        """Take an order.

        Args:
            command: one of COMMANDS.
            text: its arguments, a JSON object.

        Raises:
            BagError: an unknown command, or an argument out of range.
        """
        arguments = json.loads(text)
        if not isinstance(arguments, dict):
            msg = f'player: arguments are {text}, expected an object such as {{"time_s": 1.5}}'
            raise BagError(msg)
        match command:
            case "pause":
                self._pace.pause()
            case "resume":
                self._pace.resume()
            case "step":
                steps = _count(arguments.get("n", 1))
                self._pace.pause()
                self.steps += steps
            case "rate":
                rate = arguments.get("rate", 1.0)
                if rate != "max":
                    check_rate(rate, "max")
                self._pace.set_rate(None if rate == "max" else rate)
            case "seek":
                self._seek(arguments.get("time_s"))
            case "stop":
                self.stopped = True
            case "status":
                pass
            case other:
                msg = f"player: cannot do {other!r}; expected {COMMANDS}"
                raise BagError(msg)

    def _seek(self, time_s: object) -> None:
        if not isinstance(time_s, int | float) or not 0 <= time_s <= self._length_s:
            expected = f"seconds: the bag has {self._length_s:.3f} s"
            msg = f"player: cannot seek to time_s={time_s!r}, expected {expected}"
            raise BagError(msg)
        self.target_ns = self._start_ns + int(time_s * 1e9)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        msg = f"player: n is {value!r}, expected a positive integer: how many messages leave in the pause"
        raise BagError(msg)
    return value
