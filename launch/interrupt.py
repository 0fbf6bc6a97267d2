"""Signals that end a run in order, and a Ctrl-C that cannot get lost while modules are imported.

Python drops an exception that is raised inside a weakref's callback, and each import runs one: a
KeyboardInterrupt at that moment is printed as ignored, and the program goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminated_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit, so that what was begun is put in order; main thread only."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def remembered_interrupt() -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt on Ctrl-C as usual, and remember it.

    Yields:
        a function to call again and again: it raises KeyboardInterrupt if Ctrl-C was pressed. Off the main
        thread, where Python delivers no signals, it does nothing.
    """
    pressed = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
