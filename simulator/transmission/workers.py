"""Copies in worker processes: each process holds a share, results are those of one process.

A copy's random streams depend on the seed and on its index only, so it does not matter where it runs.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from simulator.errors import SimulatorError
from simulator.transmission.copies import Command, Float64, LocalCopies
from simulator.transmission.environment import describe, make_environment
from simulator.transmission.options import Options
from simulator.transmission.types import Tick

START_S = 120.0  # longest time that a worker may take to make its environment
STEP_S = 300.0  # longest time between two answers of a worker


class WorkerCopies:
    """E copies, spread over processes as evenly as possible."""

    def __init__(
        self, name: str, options: Options, n_envs: int, seed: int, copies_per_scenario: int = 1
    ) -> None:
        n_workers = min(options.workers, n_envs)
        self._shares = [list(part) for part in np.array_split(np.arange(n_envs), n_workers)]
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for share in self._shares:
            ours, theirs = context.Pipe()
            streams = [int(copy) // copies_per_scenario for copy in share]
            arguments = (theirs, name, options, streams, n_envs // copies_per_scenario, seed)
            process = context.Process(target=_serve, args=arguments, daemon=True, name=f"grid2op {share[0]}")
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._gather(START_S)

    def reset(self, seed: int | None) -> Tick:
        """Start new episodes; a seed restarts the random streams."""
        self._send([("reset", seed)] * len(self._pipes))
        return _join(self._gather(STEP_S))

    def step(self, commands: Sequence[Command]) -> Tick:
        """Advance every copy by its command, and start a new episode where one ended."""
        self._send([("step", [commands[i] for i in share]) for share in self._shares])
        return _join(self._gather(STEP_S))

    def look_ahead(self, tries: Sequence[Sequence[Command]]) -> list[Float64]:
        """Return for every copy (n,): the largest rho forecast one step after each of its n commands."""
        self._send([("look_ahead", [tries[i] for i in share]) for share in self._shares])
        return [rho for part in self._gather(STEP_S) for rho in part]

    def close(self) -> None:
        """End the processes; safe to call twice."""
        for pipe in self._pipes:
            pipe.close()  # a worker ends when its pipe does
        for process in self._processes:
            process.join(10.0)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []

    def _send(self, orders: Sequence[tuple[str, Any]]) -> None:
        for pipe, order in zip(self._pipes, orders, strict=True):
            with suppress(OSError):  # of a process that has ended; `_gather` reports it
                pipe.send(order)

    def _gather(self, timeout_s: float) -> list[Any]:
        answers = [self._answer(i, timeout_s) for i in range(len(self._pipes))]
        for index, (ok, value) in enumerate(answers):
            if not ok:
                self.close()
                if isinstance(value, SimulatorError):
                    raise value
                msg = f"grid2op worker {index} of {len(self._shares)} failed:\n{value}"
                raise SimulatorError(msg)
        return [value for _, value in answers]

    def _answer(self, index: int, timeout_s: float) -> tuple[bool, Any]:
        pipe, process = self._pipes[index], self._processes[index]
        try:
            if pipe.poll(timeout_s):
                answer: tuple[bool, Any] = pipe.recv()
                return answer
        except (EOFError, OSError):
            process.join(1.0)
            return False, f"process {process.pid} ended with exit code {process.exitcode}"
        return False, f"process {process.pid} gave no answer for {timeout_s:g} s"


def _join(ticks: list[Tick]) -> Tick:
    """Put the workers' shares one after the other, in the order of the copies."""
    parts = {f.name: [getattr(tick, f.name) for tick in ticks] for f in fields(Tick)}
    return Tick(**{name: np.concatenate(values) for name, values in parts.items()})


def _serve(
    pipe: Connection, name: str, options: Options, streams: Sequence[int], n_streams: int, seed: int
) -> None:
    """Serve a share of the copies until the pipe closes (the main function of a worker process)."""
    try:
        env = make_environment(name, options)
        copies = LocalCopies(env, describe(env, name), options, streams, n_streams, seed)
        pipe.send((True, None))
    except Exception as error:
        pipe.send((False, error if isinstance(error, SimulatorError) else traceback.format_exc()))
        return
    orders: dict[str, Callable[[Any], Any]] = {
        "reset": copies.reset,
        "step": copies.step,
        "look_ahead": copies.look_ahead,
    }
    while True:
        try:
            order, argument = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            answer = orders[order](argument)
        except Exception:
            pipe.send((False, traceback.format_exc()))
            return
        pipe.send((True, answer))
