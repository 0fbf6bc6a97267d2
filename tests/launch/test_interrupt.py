"""Ctrl-C ends a run even where Python drops the exception."""

from __future__ import annotations

import signal
import threading
import weakref

import pytest

from launch.interrupt import remembered_interrupt


class Module:
    """Something to hold weakly."""


def test_a_ctrl_c_in_a_weakref_callback_is_not_lost() -> None:
    with remembered_interrupt() as check:
        check()
        module = Module()
        reference = weakref.ref(module, lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.MonkeyPatch.context() as patch:
            dropped: list[object] = []
            patch.setattr("sys.unraisablehook", dropped.append)
            del module  # the callback runs here, and Python ignores what it raises
        assert reference() is None
        assert len(dropped) == 1
        with pytest.raises(KeyboardInterrupt):
            check()


def test_ctrl_c_is_as_usual_otherwise_and_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), remembered_interrupt():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_threads_may_use_it() -> None:
    seen: list[str] = []

    def use() -> None:
        with remembered_interrupt() as check:
            check()
            seen.append("done")

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == ["done"]
