"""A message as a bag gives it back, and what is needed to make one of what lies in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mcap.records import Channel, Schema

from broker.bag.layout import Origin, origin_of, unpacked


class Damage(Enum):
    """What to do about a chunk that is damaged."""

    REFUSE = "refuse"
    SKIP = "skip"  # and count


class Recorded(NamedTuple):
    """A message of a bag."""

    topic: str
    type: str
    schema: str  # hash
    latched: bool
    encoding: str
    seq: int  # low 32 bits
    receive_ns: int
    publish_ns: int
    data: bytes

    @property
    def frames(self) -> list[bytes]:
        """Return its wire frames."""
        return unpacked(self.data)

    @property
    def origin(self) -> Origin | None:
        """Return what its header says, None if it is none."""
        return origin_of(self.frames[1])


@dataclass
class Tables:
    """Schemas and channels of a file."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)

    def add(self, schemas: list[Schema], channels: list[Channel]) -> None:
        """Take those of a chunk."""
        self.schemas |= {schema.id: schema for schema in schemas}
        self.channels |= {channel.id: channel for channel in channels}
