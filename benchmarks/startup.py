"""How fast and how small an ensemble starts: forked from a preloaded server, against fresh processes.

python benchmarks/startup.py                                20 agents of microgrid20
python benchmarks/startup.py launch/files/case14.yaml       another launch file

`ready`: all nodes have said so; `at work`: all agents have begun their first rollout, every import and
network done. PSS counts a page that n processes share as 1/n in each, so the sum is what the machine
really holds. CPU is what all processes together have used until then: on 2 idle cores, no start can be
faster than half of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from broker import Node, topics  # noqa: E402
from broker.errors import ConnectionFailedError  # noqa: E402
from broker.messages import NodeStatus  # noqa: E402
from launch.agent_names import agents_of  # noqa: E402
from launch.arguments import parse_overrides  # noqa: E402
from launch.launch_file import read_launch_file  # noqa: E402
from launch.paths import checked  # noqa: E402

FILE = ROOT / "launch" / "files" / "microgrid20.yaml"
LIMIT_S = 240.0


@dataclass(frozen=True)
class Start:
    """What one start cost."""

    way: str
    ready_s: float
    at_work_s: float
    cpu_s: float
    pss_mb: float
    processes: int


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=FILE, help="launch file")
    parser.add_argument("overrides", nargs="*", help="name=value, laid over the launch file")
    parser.add_argument("--only", choices=["forked", "fresh"], help="measure one way only")
    options = parser.parse_args()
    ways = [options.only] if options.only else ["forked", "fresh"]
    starts = [measure(way, options.file, options.overrides) for way in ways]
    report(options.file, starts)
    return 0


def measure(way: str, file: Path, overrides: list[str]) -> Start:
    """Start the launch file's ensemble, look at it when it is at work, and end it."""
    root = read_launch_file(file, parse_overrides(overrides)).root
    agents = agents_of(root, checked(root))
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        address = f"ipc://{folder}/bus"
        words = [str(file), *overrides, f"broker.address={address}", "--run-dir", f"{folder}/run"]
        script = str(ROOT / "launch" / "run_ensemble.py")
        command = [sys.executable, script] if way == "forked" else [sys.executable, "-c", FRESH]
        began = time.monotonic()
        with running([*command, *words], Path(folder) / "output") as process:
            ready_s, at_work_s = wait_until_at_work(address, agents, began, process)
            everyone = [process, *process.children(recursive=True)]
            cpu_s = sum(sum(p.cpu_times()[:2]) for p in everyone)
            pss_mb = sum(p.memory_full_info().pss for p in everyone) / 2**20
    return Start(way, ready_s, at_work_s, cpu_s, pss_mb, len(everyone))


# The same command, with every node in an interpreter of its own.
FRESH = f"""
import dataclasses, sys
sys.path.insert(0, {str(ROOT)!r})
from launch import assemble, processes, run
from launch.cli import start
processes.start_fork_server = lambda: None
whole = assemble.assemble
def fresh(*arguments):
    program = whole(*arguments)
    nodes = tuple(dataclasses.replace(node, forked=False) for node in program.nodes)
    return dataclasses.replace(program, nodes=nodes)
run.assemble = fresh
start("launch.launch_command:app")
"""


@contextmanager
def running(command: list[str], output: Path) -> Iterator[psutil.Popen]:
    """Run the command; end it with Ctrl-C."""
    with output.open("w") as out:
        process = psutil.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    except BaseException:
        sys.stderr.write(output.read_text())
        raise
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def wait_until_at_work(
    address: str, agents: tuple[str, ...], began: float, process: psutil.Popen
) -> tuple[float, float]:
    """Return the seconds until all agents were ready, and until all were at work."""
    states = dict.fromkeys(agents, "absent")
    ready_s = 0.0
    with Node("benchmark", address) as node:
        subscriptions = {name: node.subscription(topics.status(name), NodeStatus) for name in agents}
        joined = False
        while time.monotonic() - began < LIMIT_S and process.poll() is None:
            if not joined:
                joined = join(node)
                continue
            node.spin(0.02)
            for name, subscription in subscriptions.items():
                while (received := subscription.take()) is not None:
                    states[name] = received.message.state
            if not ready_s and all(state in ("ready", "running") for state in states.values()):
                ready_s = time.monotonic() - began
            if all(state == "running" for state in states.values()):
                return ready_s, time.monotonic() - began
    msg = f"not at work after {time.monotonic() - began:.0f} s: {states}"
    raise TimeoutError(msg)


def join(node: Node) -> bool:
    """Return whether the broker is there."""
    try:
        node.ready(0.1)
    except ConnectionFailedError:
        return False
    return True


def report(file: Path, starts: list[Start]) -> None:
    """Print the table."""
    table = Table(title=f"start of {file.name}")
    for column in ("agents are", "ready (s)", "at work (s)", "CPU (s)", "PSS (MB)", "processes"):
        table.add_column(column, justify="right")
    for start in starts:
        cells = [
            f"{start.ready_s:.1f}",
            f"{start.at_work_s:.1f}",
            f"{start.cpu_s:.1f}",
            f"{start.pss_mb:.0f}",
        ]
        table.add_row(start.way, *cells, str(start.processes))
    if len(starts) == 2:
        one, two = (dataclasses.astuple(start)[1:5] for start in starts)
        table.add_row("ratio", *(f"{b / a:.1f}" for a, b in zip(one, two, strict=True)), "")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
