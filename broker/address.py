"""One address of a broker, and the three endpoints derived from it.

`tcp://host:5550` listens on 5550 (letters), 5551 (from publishers) and 5552 (to subscribers);
`ipc:///path` on the files `/path`, `/path.in` and `/path.out`; `memory://name` has no endpoints.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from broker.errors import AddressError, ConnectionFailedError

_MAX_IPC = 107  # sockaddr_un.sun_path of Linux without its NUL, unix(7)
_HOST = r"[A-Za-z0-9][A-Za-z0-9_\-]{0,62}(?:\.[A-Za-z0-9_\-]{1,63})*"  # other names libzmq does not take
_TCP = re.compile(rf"tcp://(?P<host>\*|{_HOST}):(?P<port>[0-9]+)")


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
        AddressError: if it is no `tcp://host:port` or `ipc:///path`, or the path is too long.
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
            raise AddressError(msg)
        return Endpoints(address, f"{address}.in", f"{address}.out")
    msg = f"broker address {address!r}: expected tcp://host:port (port at most 65533), ipc:///path or memory://name"
    raise AddressError(msg)


def reachable(address: str) -> Endpoints:
    """Return the endpoints of a broker's address for those who connect to it.

    Raises:
        AddressError: as `endpoints` does, and for the host `*`, at which one can only listen.
    """
    if address.startswith("tcp://*:"):
        example = address.replace("*", "localhost", 1)
        msg = (
            f"broker address {address}: '*' stands for all interfaces, where `python -m broker` can listen; "
            f"nodes and commands connect to one host: write its name, such as {example}"
        )
        raise AddressError(msg)
    return endpoints(address)


def ipc_path(address: str) -> Path | None:
    """Return the socket file of an `ipc://` address, None for another scheme."""
    if address.startswith("ipc://") and len(address) > len("ipc://"):
        return Path(address.removeprefix("ipc://"))
    return None


def unreachable(address: str, timeout_s: float) -> str:
    """Say that no broker answers, and what to do."""
    return (
        f"no broker answers at {address} after {timeout_s:g} s: start one with "
        f"`python -m broker --address {address}`, or correct the address"
    )


def numeric(endpoint: str) -> str:
    """Look a host name up: libzmq binds TCP to numbers and interfaces only."""
    if not endpoint.startswith("tcp://"):
        return endpoint
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return endpoint if host == "*" else f"tcp://{socket.gethostbyname(host)}:{port}"


def refuse_busy(address: str) -> None:
    """Look whether a broker can listen at a TCP address.

    Raises:
        ConnectionFailedError: if somebody listens at one of its ports.
    """
    for endpoint in vars(endpoints(address)).values():
        if not endpoint.startswith("tcp://"):
            continue
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if _answers("localhost" if host == "*" else host, int(port)):
            msg = (
                f"broker address {address}: somebody listens at port {port} already; choose another address, "
                "or join the broker there with --broker"
            )
            raise ConnectionFailedError(msg)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def refuse_live_file(endpoint: str) -> None:
    """Look whether a process listens at a socket file: libzmq would take it away from it.

    Raises:
        OSError: if one does, or the folder does not exist.
    """
    path = ipc_path(endpoint)
    if path is None:
        return
    if not path.parent.is_dir():
        msg = f"folder {path.parent} does not exist"
        raise FileNotFoundError(msg)
    with (
        socket.socket(socket.AF_UNIX) as probe,
        contextlib.suppress(ConnectionRefusedError, FileNotFoundError),
    ):
        probe.connect(str(path))
        msg = "address in use: a process listens there"
        raise OSError(msg)
