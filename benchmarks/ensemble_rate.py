"""How much the bus costs: an ensemble's step rate against the same grid stepped in one process.

    python benchmarks/ensemble_rate.py                                   the default grid, its two agents
    python benchmarks/ensemble_rate.py --grid frequency68 --copies 64    twenty agents
    python benchmarks/ensemble_rate.py --record                          with a recorder on all topics

The ensemble is a broker, a simulator and one process per agent, all acting at random; the reference
steps the same grid behind the same SCADA link with the same policies in one loop. Both take turns in
blocks of a few seconds, the ensemble paused while the reference runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import simulator
from agents.baselines import RandomPolicy
from broker import Node
from broker.messages import ControlRequest
from broker.services import CONTROL

ROOT = Path(__file__).parents[1]


class Ensemble:
    """Broker, simulator and agents as processes, controlled through the simulator's service."""

    def __init__(self, stack: ExitStack, grid: str, copies: int, *, record: bool) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = f"ipc://{folder}/broker"
        config = folder / "simulator.json"
        config.write_text(json.dumps({"grid": grid, "n_envs": copies}))
        self._start(stack, "broker", "--address", address)
        self._start(stack, "simulator", "--broker", address, "--config", str(config))
        if record:
            recorder = folder / "recorder.json"
            recorder.write_text(json.dumps({"folder": str(folder / "bag")}))
            self._start(
                stack,
                "broker.bag.recorder",
                "--name",
                "recorder",
                "--broker",
                address,
                "--config",
                str(recorder),
            )
        for agent in simulator.agent_names(grid):
            self._start(stack, "agents", "--name", agent, "--broker", address, "--baseline", "random")
        self._node = stack.enter_context(Node("benchmark", address))
        self._node.ready(timeout_s=30.0)
        self._control = self._node.client(CONTROL)
        self._control.wait(timeout_s=120.0)
        while self.tick() == 0:
            time.sleep(0.1)
        self.pause()

    def tick(self) -> int:
        """Return the current tick."""
        return self._call("status")

    def pause(self) -> int:
        """Stop ticking and return the current tick."""
        return self._call("pause")

    def rate(self, seconds: float) -> float:
        """Return ticks per second over about `seconds`."""
        begin, first = time.perf_counter(), self._call("resume")
        time.sleep(seconds)
        last = self.pause()
        return (last - first) / (time.perf_counter() - begin)

    def _call(self, command: str) -> int:
        return self._control.call(ControlRequest(command), timeout_s=60.0).tick

    def _start(self, stack: ExitStack, module: str, *arguments: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)


class Reference:
    """The same grid and policies in one loop."""

    def __init__(self, grid: str, copies: int) -> None:
        self._world = simulator.make(grid, n_envs=copies)
        spec = self._world.spec
        self._policies = {a: RandomPolicy(spec.action_spaces[a], seed) for seed, a in enumerate(spec.agents)}
        self._frame = self._world.reset()
        self._starts = np.ones(copies, np.bool_)
        self.rate(1.0)  # compile and warm up

    def rate(self, seconds: float) -> float:
        """Return ticks per second over about `seconds`."""
        begin, ticks = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            frame = self._frame
            masks = frame.masks or {}
            actions = {
                agent: policy.act(frame.observations[agent], masks.get(agent), self._starts)
                for agent, policy in self._policies.items()
            }
            self._frame = self._world.step(actions)
            ticks += 1
        return ticks / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", default="grid2op:rte_case14_realistic", help="name of the grid")
    parser.add_argument("--copies", type=int, default=8, help="E, copies of the grid (8)")
    parser.add_argument("--record", action="store_true", help="with a recorder on all topics")
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each (7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a block (3)")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        ensemble = Ensemble(stack, arguments.grid, arguments.copies, record=arguments.record)
        reference = Reference(arguments.grid, arguments.copies)
        pairs = [
            (ensemble.rate(arguments.seconds), reference.rate(arguments.seconds))
            for _ in range(arguments.blocks)
        ]
    bus, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(ours / theirs for ours, theirs in pairs)
    print(
        f"{arguments.grid}, E={arguments.copies}, {arguments.blocks} blocks of {arguments.seconds} s, medians"
    )
    print(f"{'':24}{'ticks/s':>10}{'env steps/s':>14}")
    print(f"{'ensemble on the bus':24}{bus:10.1f}{bus * arguments.copies:14.0f}")
    print(f"{'one process, no bus':24}{alone:10.1f}{alone * arguments.copies:14.0f}")
    print(f"ensemble / one process: {share:.0%}")


if __name__ == "__main__":
    main()
