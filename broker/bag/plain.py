"""A message as plain names and values: wire messages describe themselves, so any version's can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from broker.bag.errors import BagError
from broker.bag.layout import JSON, origin_of
from broker.bag.recorded import Recorded
from broker.messages import Array
from broker.strict import DTYPES, TEXT


@dataclass(frozen=True)
class Plain:
    """A message without its wire format."""

    topic: str
    type: str
    sender: str
    seq: int
    receive_ns: int
    publish_ns: int
    time_s: float  # simulation time
    fields: dict[str, Any]  # scalars, texts, tuples, numpy arrays

    def listed(self) -> dict[str, Any]:
        """Return the fields with arrays as nested lists, as JSON has them."""
        return {name: _listed(value) for name, value in self.fields.items()}

    def columns(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of every number: `obs[0,3]` is copy 0, feature 3."""
        yield "receive_ns", self.receive_ns
        yield "publish_ns", self.publish_ns
        yield "time_s", self.time_s
        yield "sender", self.sender
        yield "seq", self.seq
        for name, value in self.fields.items():
            if isinstance(value, np.ndarray):
                for place in np.ndindex(value.shape):
                    yield f"{name}[{','.join(map(str, place))}]", value[place].item()
            elif isinstance(value, list | tuple):
                for index, item in enumerate(value):
                    yield f"{name}[{index}]", item
            else:
                yield name, value


def plain(message: Recorded) -> Plain:
    """Return a message in plain.

    Raises:
        BagError: if its bytes are no message.
    """
    if message.encoding == JSON:
        return _from_json(message)
    frames = message.frames
    origin = origin_of(frames[1])
    if origin is None:
        msg = (
            f"topic {message.topic}: a message taken in at {message.receive_ns} ns has a header that is none"
        )
        raise BagError(msg)
    envelope = msgpack.unpackb(frames[1], use_list=False)
    fields = dict(envelope[7])
    following = iter(frames[2:])
    try:
        for name, dtype, shape, raw in envelope[8]:
            fields[name] = _value(dtype, shape, next(following) if raw is None else raw)
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        which = f"topic {message.topic}, number {origin.seq} from {origin.sender}"
        msg = f"{which}: an array cannot be read: {error}"
        raise BagError(msg) from None
    return Plain(
        message.topic,
        origin.type,
        origin.sender,
        origin.seq,
        message.receive_ns,
        message.publish_ns,
        origin.time_s,
        fields,
    )


def _from_json(message: Recorded) -> Plain:
    fields = json.loads(message.data)
    return Plain(
        message.topic, message.type, "", message.seq, message.receive_ns, message.publish_ns, 0.0, fields
    )


def _value(dtype: str, shape: tuple[int, ...], raw: bytes) -> Array | str:
    if dtype == TEXT:
        return raw.decode()
    array: Array = np.frombuffer(raw, DTYPES[dtype]).reshape(shape)
    return array


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
