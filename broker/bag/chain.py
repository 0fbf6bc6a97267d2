"""The hash chain of a bag: each chunk ends with a message on `/bag/chain` that seals all before it.

    sha256_n = SHA-256(sha256_(n-1) || records of chunk n before this message)

so a message that is changed, left out or put in breaks the chain from its chunk on. The message also counts
the drops so far: they are in the bag even if the recorder is killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from broker.bag.errors import BagError

START = "0" * 64
SCHEMA_NAME = "ChainLink"
SCHEMA = json.dumps(
    {
        "title": SCHEMA_NAME,
        "type": "object",
        "properties": {
            "chunk": {"type": "integer"},
            "messages": {"type": "integer"},
            "lost": {"type": "object"},
            "previous": {"type": "string"},
            "sha256": {"type": "string"},
        },
    }
).encode()


@dataclass(frozen=True)
class Link:
    """One link of the chain."""

    chunk: int  # number of the chunk, from 0
    messages: int  # in the file up to here, links left out
    previous: str  # sha256 of the link before, or of the last one of the file before
    sha256: str
    lost: Mapping[str, int] = field(default_factory=dict)  # topic -> messages missing so far

    def packed(self) -> bytes:
        """Return the link as JSON."""
        return json.dumps(asdict(self)).encode()


def seal(previous: str, records: bytes | bytearray | memoryview) -> str:
    """Return the hash of a chunk's records after those before it."""
    digest = hashlib.sha256(bytes.fromhex(previous))
    digest.update(records)
    return digest.hexdigest()


def link_of(data: bytes) -> Link:
    """Read a link.

    Raises:
        BagError: if it is none.
    """
    try:
        fields = json.loads(data)
        link = Link(**fields)
        bytes.fromhex(link.previous + link.sha256)
    except (ValueError, TypeError) as error:
        msg = f"message on the chain: {data[:60]!r} is no link: {error}"
        raise BagError(msg) from None
    return link
