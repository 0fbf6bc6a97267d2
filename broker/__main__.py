"""The broker process: `python -m broker --address tcp://host:5550`, or `ipc:///path`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

from broker.errors import ConnectionFailedError
from broker.zeromq import ZeroMqBroker


def main() -> int:
    """Run a broker until SIGTERM or SIGINT; 1 if it cannot listen."""
    parser = argparse.ArgumentParser(prog="python -m broker", description="Forward topics and services.")
    parser.add_argument(
        "--address", required=True, help="tcp://host:port (takes port to port+2) or ipc:///path"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    options = parser.parse_args()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        broker = ZeroMqBroker(options.address)
    except ConnectionFailedError as error:
        logging.getLogger("broker").error("%s", error)  # noqa: TRY400 - the message says all
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: broker.stop())
    broker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
