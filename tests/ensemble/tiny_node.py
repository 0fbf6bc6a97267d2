"""A real node that does next to nothing: it joins the bus, counts ticks, and ends.

`python -m tiny_node --name NAME --broker ADDRESS --config FILE.json`; the settings say how it misbehaves.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from broker import Node


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    settings = json.loads(options.config.read_text())
    if settings.get("print"):
        print(settings["print"])  # noqa: T201
        sys.stderr.write(f"{options.name}: UserWarning: {settings['print']}\n")
    if settings.get("fail_at_start"):
        msg = "no grid of that name"
        raise ValueError(msg)
    if settings.get("stubborn"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    workers = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,), daemon=True)
               for _ in range(settings.get("workers", 0))]  # fmt: skip
    for worker in workers:
        worker.start()
    with Node(options.name, options.broker) as node:
        if not settings.get("stubborn"):
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: node.stop())
        if settings.get("never_ready"):
            time.sleep(300)
        node.ready(20.0)
        return count(node, settings)


def count(node: Node, settings: dict[str, Any]) -> int:
    """Count ticks of 20 ms until all are done, or for ever."""
    tick = 0
    while node.ok() and tick != settings.get("ticks", -1):
        node.spin(0.02)
        tick += 1
        node.set_status("running", tick, json.dumps({"ticks": tick}))
        if tick == settings.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(settings.get("ends_after_s", 0.0))
    node.set_status("done", tick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
