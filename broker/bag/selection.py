"""Which topics of a bag a player plays."""

from __future__ import annotations

import re

from broker import topics
from broker.bag.errors import BagError
from broker.bag.reader import Bag, TopicInfo
from broker.bag.settings import PlayerSettings


def selected(bag: Bag, settings: PlayerSettings) -> dict[str, TopicInfo]:
    """Return the topics that are played.

    Raises:
        BagError: if the bag is empty, a topic is not in it, or one cannot be played.
    """
    if not bag.span_ns[1]:
        msg = f"{settings.bag}: is empty: there is no message in it"
        raise BagError(msg)
    bag.check_topics([*settings.topics, *settings.remap])
    chosen = {topic: info for topic, info in bag.topics().items() if _wanted(info, settings)}
    bag.check_schemas(chosen)
    return chosen


def _wanted(info: TopicInfo, settings: PlayerSettings) -> bool:
    if settings.topics and info.topic not in settings.topics:
        return False
    if settings.exclude and re.fullmatch(settings.exclude, info.topic):
        return False
    if settings.skip_damaged and not info.type:  # no message of it has a header that can be read
        return False
    return not (settings.follow_clock and info.topic == topics.CLOCK)
