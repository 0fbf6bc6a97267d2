"""Round trip: record a training run, play it at several rates, compare every byte; replay it to its agents.

The run is one of five agents that learn; each replay is recorded again by a recorder of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from broker.bag.reader import Bag
from broker.bag.verify import verify

ROOT = Path(__file__).parents[1]
CLI = [sys.executable, str(ROOT / "launch" / "cli.py")]
RUN = """
name: roundtrip
simulator:
  grid: synthetic
  n_envs: 2
  options: {case: random, blocks: [[3, 2], [3, 2], [3, 2], [3, 2], [3, 2]]}
agents:
  n_steps: 200
  updates: UPDATES
  checkpoint_every: 1000
  hyperparameters: {n_epochs: 1, batch_size: 400}
critic: {hidden: [32], epochs: 1, minibatch_size: 400}
record: true
"""


def launched(folder: Path, *words: str) -> float:
    """Run `chorus launch` to its end; return the seconds that it took."""
    start = time.perf_counter()
    command = [*CLI, "launch", *words, "--run-dir", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder.parent)
    return time.perf_counter() - start


def messages(bag: Path, wanted: set[str]) -> dict[str, list[bytes]]:
    """Return the wire bytes of every topic, in order."""
    found: dict[str, list[bytes]] = defaultdict(list)
    with Bag(bag) as opened:
        for message in opened.messages(wanted):
            found[message.topic].append(message.data)
    return found


def replayed(bag: Path, rate: str, folder: Path) -> float:
    """Play a bag to a recorder; return the seconds that it took."""
    folder.mkdir()
    address = f"ipc://{folder}/b"
    broker = subprocess.Popen(
        [sys.executable, "-m", "broker", "--address", address], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    out = [
        "record",
        "-a",
        "-x",
        "/nodes/(recorder|player)/.*",
        "-o",
        str(folder / "bag"),
        "--broker",
        address,
    ]
    recorder = None
    try:
        _until(lambda: (folder / "b").exists() and (folder / "b.out").exists())
        recorder = subprocess.Popen([*CLI, "bag", *out], stderr=subprocess.DEVNULL)
        _until(lambda: "recorder" in _nodes(address))
        start = time.perf_counter()
        play = ["play", str(bag), "--rate", rate, "--broker", address, "-x", "/nodes/recorder/.*"]
        subprocess.run([*CLI, "bag", *play], check=True)
        took = time.perf_counter() - start
        recorder.send_signal(2)
        recorder.wait(60)
    finally:
        for process in (recorder, broker):
            if process is not None:
                process.kill()
                process.wait(10)
    return took


def _nodes(address: str) -> str:
    command = [*CLI, "node", "list", "--broker", address]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _until(holds: object) -> None:
    end = time.monotonic() + 60
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--updates", type=int, default=50, help="rollouts of 200 ticks")
    parser.add_argument("--rates", default="max,10,1,0.5", help="rates of the replays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gc") as name:
        folder = Path(name)
        launch_file = folder / "roundtrip.yaml"
        launch_file.write_text(RUN.replace("UPDATES", str(options.updates)))
        took = launched(folder / "run", str(launch_file))
        bag = folder / "run" / "bag"
        verdict = verify(bag)
        with Bag(bag) as opened:
            wanted = {topic for topic in opened.topics() if topic != "/nodes/recorder/status"}
        recorded = messages(bag, wanted)
        count = sum(map(len, recorded.values()))
        ticks = len(recorded["/grid/applied"])
        print(f"{ticks} ticks, {verdict.messages} messages, {verdict.lost} lost; the run took {took:.0f} s")
        print(f"{'rate':>8}{'seconds':>10}{'messages':>10}{'identical':>11}{'lost':>6}")
        for rate in options.rates.split(","):
            seconds = replayed(bag, rate, folder / f"x{rate}")
            again = messages(folder / f"x{rate}" / "bag", wanted)
            same = sum(
                a == b for topic in wanted for a, b in zip(recorded[topic], again[topic], strict=False)
            )
            lost = count - sum(map(len, again.values()))
            print(f"{rate:>8}{seconds:10.1f}{sum(map(len, again.values())):10}{same:11}{lost:6}")
        roles = ROOT / "launch" / "files"
        launched(folder / "replay", str(roles / "replay_to_agents.yaml"), f"run={folder / 'run'}")
        found = json.loads((folder / "replay" / "comparison.json").read_text())
        print(f"replayed to its agents: {found['identical']} of {found['compared']} actions identical")
    return 0


if __name__ == "__main__":
    sys.exit(main())
