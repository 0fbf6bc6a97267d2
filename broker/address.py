"""One address of a broker, and the three endpoints derived from it.

`tcp://host:5550` listens on 5550 (letters), 5551 (from publishers) and 5552 (to subscribers);
`ipc:///path` on the files `/path`, `/path.in` and `/path.out`; `memory://name` has no endpoints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from broker.errors import ConnectionFailedError

_MAX_IPC = 107  # sockaddr_un.sun_path of Linux without its NUL, unix(7)
_TCP = re.compile(r"tcp://(?P<host>[A-Za-z0-9_.\-*]+):(?P<port>\d+)")


@dataclass(frozen=True)
class Endpoints:
    """Where a broker listens."""

    letters: str
    ingress: str  # publishers connect here
    egress: str  # subscribers connect here


def is_memory(address: str) -> bool:
    """Say whether the address is one of threads in one process."""
    return address.startswith("memory://") and len(address) > len("memory://")


def endpoints(address: str) -> Endpoints:
    """Return the endpoints of a broker's address.

    Raises:
        ConnectionFailedError: if it is no `tcp://host:port` or `ipc:///path`, or the path is too long.
    """
    tcp = _TCP.fullmatch(address)
    if tcp is not None and 0 < int(tcp["port"]) <= 65533:
        base, port = f"tcp://{tcp['host']}", int(tcp["port"])
        return Endpoints(address, f"{base}:{port + 1}", f"{base}:{port + 2}")
    path = ipc_path(address)
    if path is not None:
        longest = f"{path}.out"
        if len(longest.encode()) > _MAX_IPC:
            msg = f"broker address {address}: a socket file has at most {_MAX_IPC - 4} bytes"
            raise ConnectionFailedError(msg)
        return Endpoints(address, f"{address}.in", f"{address}.out")
    msg = f"broker address {address!r}: expected tcp://host:port (port at most 65533), ipc:///path or memory://name"
    raise ConnectionFailedError(msg)


def ipc_path(address: str) -> Path | None:
    """Return the socket file of an `ipc://` address, None for another scheme."""
    if address.startswith("ipc://") and len(address) > len("ipc://"):
        return Path(address.removeprefix("ipc://"))
    return None
