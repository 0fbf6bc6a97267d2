"""Settings of recorder and player, checked when they are made."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self

from broker.bag.errors import BagError
from broker.topics import check_topic

_FASTEST = 1e9  # times as fast as it was: with 1e300, bag time in ns is infinite after a second


class _Settings:
    """What both have in common."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping. Raises BagError for an unknown key, or one that is missing."""
        known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(known))
        if unknown:
            msg = f"{cls.__name__}: unknown settings {unknown}, expected keys out of {sorted(known)}"
            raise BagError(msg)
        missing = [name for name, needed in known.items() if needed and name not in values]
        if missing:
            msg = f"{cls.__name__}: settings {missing} are missing; give them in the settings file"
            raise BagError(msg)
        lists = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**lists)


@dataclass(frozen=True)
class RecorderSettings(_Settings):
    """What is recorded, and into which files."""

    folder: str  # of the bag; files in it are <name>_0.mcap, <name>_1.mcap ...
    name: str = "bag"
    topics: tuple[str, ...] = ()  # these only; none and no regex: all
    regex: str = ""  # topics that it matches as a whole
    exclude: str = ""  # of those, not the topics that this matches as a whole
    max_size: int | None = None  # bytes; a larger file is followed by a new one
    max_duration_s: float | None = None  # likewise
    snapshot_s: float | None = None  # keep only so much, in memory, and write it when asked
    flush_s: float = 0.5  # how much a killed recorder loses at most
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # group -> name -> value

    def __post_init__(self) -> None:
        for topic in self.topics:
            check_topic(topic)
        for name in ("regex", "exclude"):
            check_regex(f"recorder: {name}", getattr(self, name))
        for name in ("max_size", "max_duration_s", "snapshot_s", "flush_s"):
            _check_positive(f"recorder: {name}", getattr(self, name))

    def wants(self, topic: str) -> bool:
        """Say whether a topic is recorded."""
        if self.exclude and re.fullmatch(self.exclude, topic):
            return False
        if not self.topics and not self.regex:
            return True
        return topic in self.topics or bool(self.regex and re.fullmatch(self.regex, topic))


@dataclass(frozen=True)
class PlayerSettings(_Settings):
    """What is played, and how fast."""

    bag: str
    rate: float | None = 1.0  # times as fast as it was; None: as fast as all can follow
    loop: bool = False
    start_offset_s: float = 0.0
    duration_s: float | None = None
    topics: tuple[str, ...] = ()  # none: all
    exclude: str = ""  # regular expression of topics that are not played
    remap: Mapping[str, str] = field(default_factory=dict)  # topic in the bag -> topic on the bus
    paused: bool = False
    clock_hz: float | None = None  # publish /clock so often, where the bag's own is not played
    follow_clock: bool = False  # play by the /clock of somebody else
    skip_damaged: bool = False  # play on after damage, and count it
    as_recorded: bool = True  # every byte; False: as of new lives of the senders, for nodes that know the old
    wait_for: tuple[str, ...] = ()  # nodes that must be there before it begins
    role: Literal["play", "to_agents", "of_agents"] = "play"
    max_ticks: int | None = None  # of the roles: end after so many
    deadline_s: float = 60.0  # of the roles: how long to wait for an agent or the simulator
    report: str = ""  # file for the comparison of a role, JSON

    def __post_init__(self) -> None:
        for topic in (*self.topics, *self.remap, *self.remap.values()):
            check_topic(topic)
        check_regex("player: exclude", self.exclude)
        if self.rate is not None:
            check_rate(self.rate, "none")
        for name in ("duration_s", "clock_hz", "deadline_s"):
            _check_positive(f"player: {name}", getattr(self, name))
        if self.start_offset_s < 0:
            msg = f"player: start_offset_s is {self.start_offset_s!r}, expected 0 or more"
            raise BagError(msg)
        if self.role not in ("play", "to_agents", "of_agents"):
            msg = f"player: role is {self.role!r}, expected play, to_agents or of_agents"
            raise BagError(msg)


def check_regex(what: str, text: str) -> None:
    """Refuse what is no regular expression. Raises BagError."""
    try:
        re.compile(text)
    except re.error as error:
        msg = f"{what} {text!r} is no regular expression: {error}"
        raise BagError(msg) from None


def check_rate(rate: Any, unlimited: str) -> None:
    """Raise BagError unless a rate is a positive number at which bag time does not overflow.

    Args:
        rate: times as fast as it was recorded.
        unlimited: what to give instead for as fast as possible.
    """
    if not _is_positive(rate, _FASTEST):
        msg = (
            f"player: rate is {rate!r}, expected a positive number up to {_FASTEST:g}, or {unlimited} for as "
            "fast as possible"
        )
        raise BagError(msg)


def _check_positive(what: str, value: Any) -> None:
    if value is not None and not _is_positive(value, sys.float_info.max):
        msg = f"{what} is {value!r}, expected a positive number"
        raise BagError(msg)


def _is_positive(value: Any, at_most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= at_most
