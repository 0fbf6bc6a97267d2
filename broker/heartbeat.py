"""What a lease letter may say of its node: plain facts only, so that the broker can hand them on as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from broker.errors import FrameError, brief
from broker.messages import NodeStatus
from broker.schema import schema_of

_SCHEMA = schema_of(NodeStatus)
_STATUS = dict(zip(_SCHEMA.scalars, _SCHEMA.scalar_types, strict=True))
_VITALS = frozenset({"stamp_s", "cpu_s", "rss_bytes"})  # onlookers count on these; the others may be missing


def status_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status in the fields of a lease letter: all fields of a NodeStatus, or none.

    Raises:
        FrameError: if it is something else.
    """
    status = body.get("status")
    if type(status) is dict and (not status or {n: type(v) for n, v in status.items()} == _STATUS):
        return status
    kinds = {name: kind.__name__ for name, kind in _STATUS.items()}
    msg = f"lease letter: status is {brief(status)}, expected the fields of a NodeStatus: {kinds}"
    raise FrameError(msg)


def vitals_of(body: Mapping[str, Any]) -> dict[str, float]:
    """Return the measurements in the fields of a lease letter, see `vitals`; none if it has none.

    Raises:
        FrameError: if they are not finite numbers by their names.
    """
    vitals = body.get("vitals", {})
    if type(vitals) is dict and (not vitals or vitals.keys() >= _VITALS):
        numbers = [value for value in vitals.values() if type(value) in (int, float) and math.isfinite(value)]
        if len(numbers) == len(vitals) and all(type(name) is str for name in vitals):
            return vitals
    msg = f"lease letter: vitals are {brief(vitals)}, expected finite numbers, {sorted(_VITALS)} among them"
    raise FrameError(msg)
