"""Start the nodes of a program, wait until they are ready, restart what dies, and end all in order.

One thread and one loop: what nodes say on the bus, which processes have ended, which restarts are
due. Nothing waits by sleeping for luck: a node counts as ready when it says so.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from types import FrameType

from launch import failures, processes, shutdown
from launch.bus import Bus
from launch.display import Display
from launch.logs import Level, LogFollower
from launch.program import Kind, Program
from launch.run_folder import RunFolder
from launch.state import Slot
from launch.watch import Watch

_TURN_S = 0.1  # how long one turn of the loop listens to the bus
_REMIND_EVERY_S = 10.0  # of external nodes that are still awaited
_EARLY = (Kind.BROKER, Kind.RECORDER, Kind.SIMULATOR)
_NEEDED = (Kind.BROKER, Kind.CRITIC)  # to the end: they are never done by themselves
_ALONE_S = 5.0  # agents get to end by themselves after the simulator has
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs one program.

    Args:
        program: what to run; its run folder exists.
        folder: where logs go.
        display: where to show it.
        verbose: show every log line, not warnings and errors only.
    """

    def __init__(
        self, program: Program, folder: RunFolder, display: Display, *, verbose: bool = False
    ) -> None:
        self.program = program
        self.folder = folder
        self._watch = Watch(program, display)
        self.slots = self._watch.slots
        self._display = display
        self._least = Level.INFO if verbose else Level.WARNING
        self._followers = [LogFollower(n.name, folder.log(n.name)) for n in program.nodes if not n.external]
        self._stop: signal.Signals | None = None
        self._alone_since: float | None = None  # monotonic seconds; agents without a simulator

    def run(self) -> int:
        """Run to the end.

        Returns:
            0 at a regular end; 128 + the signal's number if a signal ended it (130 for Ctrl-C).

        Raises:
            StartError: a node did not become ready.
            NodeFailedError: a node died more often than its restart policy allows.
        """
        before = {
            s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        patience = shutdown.INTERRUPTED
        try:
            self._start()
            while not self._over():
                self._turn()
            if self._stop is None:
                patience = shutdown.REGULAR
        finally:
            try:
                self._end(patience)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        return 0 if self._stop is None else 128 + self._stop

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Ask for an orderly end; the second time, end at once, but leave terminal and sockets in order."""
        if self._stop is not None:
            shutdown.kill_all(self.slots)
            raise SystemExit(128 + number)
        self._stop = signal.Signals(number)

    def _start(self) -> None:
        """Start the broker, join it, start the rest at once, and wait until every node is ready."""
        # The simulator's imports take seconds: it begins with the broker, and waits for it by itself.
        early = [slot for slot in self.slots if slot.node.kind in _EARLY]
        self._begin(early)
        self._watch.bus = self._join()
        self._begin([slot for slot in self.slots if slot not in early])
        reminded = time.monotonic()
        while self._stop is None and not all(slot.ready or slot.finished for slot in self.slots):
            self._turn()
            if time.monotonic() - reminded > _REMIND_EVERY_S:
                reminded = time.monotonic()
                self._display.say(f"waiting for {', '.join(s.node.name for s in self.slots if not s.ready)}")
        if self._stop is None:
            self._display.say(f"{len(self.slots)} nodes ready after {self._watch.elapsed_s:.1f} s")

    def _of(self, kind: Kind) -> list[Slot]:
        return [slot for slot in self.slots if slot.node.kind == kind]

    def _begin(self, slots: Sequence[Slot]) -> None:
        # Fresh interpreters first: a fork waits until the fork server has done its imports.
        for slot in sorted(slots, key=lambda slot: slot.node.forked):
            if self._stop is None:
                external = slot.node.external
                slot.begin(None if external else processes.start(slot.node, self.folder.log(slot.node.name)))

    def _join(self) -> Bus | None:
        """Join the broker; None if a signal came first."""
        broker = self._of(Kind.BROKER)[0]
        bus = Bus(self.program)
        until = time.monotonic() + self.program.ready_timeout_s
        while self._stop is None:
            if bus.join(_TURN_S):
                broker.ready = broker.was_ready = True
                return bus
            self._check_exits()
            self._show()
            if time.monotonic() > until or (broker.node.external and self._watch.elapsed_s > 5.0):
                bus.close()
                raise failures.no_broker(broker, self.program.address, self.folder)
        bus.close()
        return None

    def _over(self) -> bool:
        finite = [slot for slot in self.slots if slot.node.finite]
        return (
            self._stop is not None or all(slot.finished for slot in finite or self.slots) or self._deserted()
        )

    def _deserted(self) -> bool:
        """Return whether the simulator was stopped, and the agents would wait for it for ever."""
        if not any(slot.finished for slot in self.slots if slot.node.kind == Kind.SIMULATOR):
            return False
        self._alone_since = self._alone_since or time.monotonic()
        if time.monotonic() - self._alone_since < _ALONE_S:
            return False
        waiting = ", ".join(slot.node.name for slot in self.slots if slot.node.finite and not slot.finished)
        self._display.say(
            f"the simulator was stopped: ending the run before {waiting} are done", Level.WARNING
        )
        return True

    def _turn(self) -> None:
        """Listen, look after the processes, and show."""
        self._watch.listen(_TURN_S)
        self._check_exits()
        self._check_timeouts()
        self._restart_due()
        self._show()

    def _show(self) -> None:
        self._show_logs()
        self._watch.show()

    def _check_exits(self) -> None:
        for slot in self.slots:
            code = slot.process.exit_code() if slot.process else None
            if code is None:
                continue
            slot.process = None
            slot.ready = slot.node.kind != Kind.BROKER and slot.ready
            if code == 0 and slot.node.kind not in _NEEDED:
                slot.finished = True
            else:
                self._died(slot, code)

    def _died(self, slot: Slot, code: int) -> None:
        policy = slot.node.restart
        if slot.node.gated and not slot.was_ready:
            raise failures.died_at_start(slot, code, self.folder)
        if not policy.allows(slot.restarts):
            error = failures.died_for_good(slot, code, self.folder)
            if slot.node.essential:
                raise error
            slot.finished = True
            self._display.say(f"{error}\nthe run goes on without it", Level.WARNING)
            return
        delay = policy.delay_s(slot.restarts)
        slot.restarts += 1
        slot.ready, slot.status = False, None
        slot.restart_at = time.monotonic() + delay
        how = f"{slot.node.name} {failures.how_it_ended(code)}"
        text = f"{how}; restart {slot.restarts} of {policy.max_restarts} in {delay:.1f} s"
        self._display.say(text, Level.WARNING)

    def _check_timeouts(self) -> None:
        limit = self.program.ready_timeout_s
        late = [slot for slot in self.slots if self._waits_too_long(slot, limit)]
        if late:
            raise failures.not_ready(late, limit, self.folder)

    @staticmethod
    def _waits_too_long(slot: Slot, limit_s: float) -> bool:
        alive = slot.process is not None
        return alive and slot.node.gated and not slot.ready and time.monotonic() - slot.started_at > limit_s

    def _restart_due(self) -> None:
        for slot in self.slots:
            if slot.restart_at is not None and time.monotonic() >= slot.restart_at and self._stop is None:
                slot.begin(processes.start(slot.node, self.folder.log(slot.node.name)))
                slot.ready = slot.ready or slot.node.kind == Kind.BROKER

    def _show_logs(self) -> None:
        for follower in self._followers:
            for line in follower.new_lines():
                if line.level >= self._least:
                    self._display.log(line)

    def _end(self, patience: shutdown.Patience) -> None:
        reached = self._watch.view().done_ticks  # what ends from here on has not done the rest
        others = [slot for slot in self.slots if slot.node.kind not in (Kind.BROKER, Kind.RECORDER)]
        killed = shutdown.stop_all(others, patience, lambda: self._watch.listen(0.0))
        # What hangs has used up the time by now, and a recorder that is killed leaves a bag without an end.
        recorders = self._of(Kind.RECORDER)
        killed += shutdown.stop_all(recorders, patience.of_recorder, lambda: self._watch.listen(0.0))
        self._watch.leave()
        killed += shutdown.stop_all(self._of(Kind.BROKER), patience, lambda: None)
        for slot in self.slots:
            slot.finished |= slot.process is not None and slot.process.exit_code() == 0
        if killed:
            self._display.say(f"had to kill {', '.join(killed)}", Level.WARNING)
        self._show_logs()
        self._watch.show_last(reached)
