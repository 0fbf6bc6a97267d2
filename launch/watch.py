"""How a run stands: what its nodes say of themselves, shown a few times a second."""

from __future__ import annotations

import time
from dataclasses import replace

from launch.bus import Bus
from launch.display import Display, View
from launch.processes import age_s
from launch.program import Program
from launch.state import Slot, progress, row

_SHOW_EVERY_S = 0.25


class Watch:
    """Listens to the nodes of a program, and shows them.

    Args:
        program: what runs.
        display: where to show it.
    """

    def __init__(self, program: Program, display: Display) -> None:
        self.program = program
        self.slots = [Slot(node) for node in program.nodes]
        self.bus: Bus | None = None  # none before the broker is there
        self._display = display
        self._started = time.monotonic() - age_s()
        self._begun: tuple[float, int] | None = None  # when the first tick was seen, and which
        self._done = 0  # ticks
        self._shown = 0.0

    @property
    def elapsed_s(self) -> float:
        """Return how long ago the command was given."""
        return time.monotonic() - self._started

    def listen(self, timeout_s: float) -> None:
        """Take in what nodes say within `timeout_s`; without a bus, let the time pass."""
        if self.bus is None:
            time.sleep(timeout_s)
            return
        for name, status in self.bus.statuses(timeout_s):
            slot = next(slot for slot in self.slots if slot.node.name == name)
            slot.hear(status)

    def show(self) -> None:
        """Show how the run stands, if it was not shown just now."""
        now = time.monotonic()
        if now - self._shown >= _SHOW_EVERY_S:
            self._shown = now
            self._display.show(self.view())

    def show_last(self, done_ticks: int) -> None:
        """Show how the run ended, after so many ticks, and what it was to find out."""
        self._display.show_last(replace(self.view(), done_ticks=done_ticks, eta_s=None))
        for slot in self.slots:
            if slot.result:
                self._display.say(f"{slot.node.name}: {slot.result}")

    def leave(self) -> None:
        """Leave the bus; do it while there is a broker to take leave of."""
        if self.bus is not None:
            self.listen(0.0)  # the last words of nodes that have ended
            self.bus.close()
            self.bus = None

    def view(self) -> View:
        """Return how the run stands."""
        now = time.monotonic()
        total = self.program.total_ticks
        # An agent that was restarted does not know at once how far it is.
        done = self._done = max(self._done, progress(self.slots, self.program.n_steps, total))
        if self._begun is None and done > 0:
            self._begun = (now, done)
        eta = None
        if self._begun is not None and done > self._begun[1]:
            eta = (total - done) * (now - self._begun[0]) / (done - self._begun[1])
        return View(self.program.name, [row(slot) for slot in self.slots], done, total, self.elapsed_s, eta)
