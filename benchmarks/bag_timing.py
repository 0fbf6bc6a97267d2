"""How punctually a bag is played: error of each message against the schedule, and drift.

A player process plays a bag of 1,000 messages per second through a broker process to a subscriber process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from broker import Node, codec
from broker.bag.layout import origin_of, packed
from broker.bag.player import PlayerNode
from broker.bag.settings import PlayerSettings
from broker.bag.writer import BagWriter
from broker.messages import Observation

ROOT = Path(__file__).parents[1]
COPIES, FEATURES, TOPICS = 8, 20, 4


def observation(tick: int) -> Observation:
    rng = np.random.default_rng(tick)
    flags = np.zeros(COPIES, np.bool_)
    obs = rng.random((COPIES, FEATURES), np.float32)
    return Observation(
        1, tick, np.full(COPIES, tick, np.int64), obs, np.zeros(COPIES, np.float32), flags, flags
    )


def make_bag(path: Path, seconds: float, rate_hz: int) -> None:
    """Write a bag of messages at equal distances, flushed twice a second as a recorder does."""
    writer, start_ns = BagWriter(path), time.time_ns()
    for number in range(int(seconds * rate_hz)):
        topic = f"/grid/observation/agent_{number % TOPICS}"
        frames = codec.encode(topic, observation(number), sender="simulator", seq=number // TOPICS)
        origin = origin_of(frames[1])
        assert origin is not None
        stamp_ns = start_ns + number * 1_000_000_000 // rate_hz
        channel = writer.channel(topic, origin.type, origin.schema)
        writer.write(channel, packed(frames), origin.seq, stamp_ns, stamp_ns)
        if number % (rate_hz // 2) == 0:
            writer.flush()
    writer.close()


def play(bag: Path, address: str, rate: float) -> tuple[np.ndarray, float]:
    """Return how late each message left, s, and the processor time that this took, s."""
    with Node("player", address) as node:
        player = PlayerNode(node, PlayerSettings(str(bag), rate=rate, wait_for=("listener",)))
        player.late_ns = []
        before = time.process_time()
        player.run()
        return np.array(player.late_ns) / 1e9 / rate, time.process_time() - before


def listen(address: str) -> None:
    """Take every observation until told to stop; print how many came and how many are missing."""
    with Node("listener", address) as node:
        topics = [f"/grid/observation/agent_{n}" for n in range(TOPICS)]
        taken = [node.subscription(topic, Observation) for topic in topics]
        node.ready(20.0)
        count, quiet = 0, 0
        while count == 0 or quiet < 20:
            quiet = 0 if node.spin(0.1) else quiet + 1
            for subscription in taken:
                while subscription.take() is not None:
                    count += 1
        sys.stdout.write(json.dumps([count, node.counters.lost]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of the bag")
    parser.add_argument("--hz", type=int, default=1000, help="messages per second")
    parser.add_argument("--rate", type=float, default=1.0, help="times as fast")
    parser.add_argument("--listen", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        listen(options.listen)
        return 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="gc") as folder:
        bag, address = Path(folder) / "b.mcap", f"ipc://{folder}/broker"
        make_bag(bag, options.seconds, options.hz)
        command = [sys.executable, "-m", "broker", "--address", address, "--log-level", "ERROR"]
        broker = subprocess.Popen(command, cwd=ROOT, env=environment)
        listener = subprocess.Popen(
            [sys.executable, __file__, "--listen", address], stdout=subprocess.PIPE, env=environment
        )
        try:
            late, cpu_s = play(bag, address, options.rate)
            came, lost = json.loads(listener.communicate(timeout=60)[0])
        finally:
            for process in (listener, broker):
                process.kill()
                process.wait(10)
    report(late, options.seconds / options.rate, cpu_s, came, lost)
    return 0


def report(late: np.ndarray, seconds: float, cpu_s: float, came: int, lost: int) -> None:
    """Print the error against the schedule as a table."""
    p50, p90, p99, p999 = np.percentile(late, [50, 90, 99, 99.9]) * 1e3
    # Drift is a trend of the punctual messages; the few that a busy machine delays are no trend.
    times = np.linspace(0.0, seconds, len(late))
    calm = late <= np.percentile(late, 90)
    drift = np.polyfit(times[calm], late[calm], 1)[0] * 60e3
    print(f"{len(late)} messages in {seconds:g} s, {came} came to the subscriber, {lost} lost")
    print(f"{'error, ms':24}{'p50':>8}{'p90':>8}{'p99':>8}{'p99.9':>8}{'worst':>8}")
    print(f"{'against the schedule':24}{p50:8.3f}{p90:8.3f}{p99:8.3f}{p999:8.3f}{late.max() * 1e3:8.3f}")
    print(
        f"drift {drift:+.4f} ms per minute; player's processor time {100 * cpu_s / seconds:.0f} % of a core"
    )


if __name__ == "__main__":
    sys.exit(main())
