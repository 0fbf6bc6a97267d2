"""Which broker is meant: the one named, that of the newest run, or the default port."""

from __future__ import annotations

import socket
from pathlib import Path

from broker.address import endpoints, ipc_path, is_memory, reachable
from launch.introspection.errors import NoBrokerError
from launch.run_folder import BROKER_ADDRESS

LATEST = Path("runs") / "latest" / BROKER_ADDRESS
DEFAULT = "tcp://localhost:5550"
_CONNECT_S = 1.0


def find_broker(named: str | None) -> str:
    """Return the address of a broker that is there.

    Args:
        named: by --broker or CHORUS_BROKER; without it the newest run below `runs` and the default port are
            tried.

    Raises:
        NoBrokerError: if nobody listens.
        ConnectionFailedError: if an address is none.
    """
    if named is not None:
        if is_memory(named) or all(listening(named).values()):
            return named
        reachable(named)  # says what to write in the place of a `*`
        msg = (
            f"no broker answers at {named}: start one with `python -m broker --address {named}`, or correct "
            "the address (--broker, or the environment variable CHORUS_BROKER)"
        )
        raise NoBrokerError(msg)
    latest = _latest()
    for address in (latest, DEFAULT):
        if address is not None and all(listening(address).values()):
            return address
    found = f"names {latest}, where nobody listens any more" if latest else "does not exist"
    msg = (
        f"no broker found: {LATEST} {found}, and nobody listens at {DEFAULT}; start an ensemble with "
        "`chorus launch`, or say where one runs with --broker ADDRESS or CHORUS_BROKER"
    )
    raise NoBrokerError(msg)


def listening(address: str) -> dict[str, bool]:
    """Return for each endpoint of a broker whether a process listens there.

    Raises:
        ConnectionFailedError: if the address is none.
    """
    ends = endpoints(address)
    return {end: _accepts(end) for end in (ends.letters, ends.ingress, ends.egress)}


def _latest() -> str | None:
    try:
        return LATEST.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _accepts(endpoint: str) -> bool:
    path = ipc_path(endpoint)
    try:
        if path is not None:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_CONNECT_S)
                probe.connect(str(path))
        else:
            host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_S).close()
    except OSError:
        return False
    return True
