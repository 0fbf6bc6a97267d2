"""Measurements in a CSV file become a bag of observations, through a mapping file.

The mapping is YAML; docs/bags.md describes it:

    grid: feeder7
    dt_s: 60.0
    time: {column: timestamp, unit: iso}          # or s, ms, us, ns: since 1970
    agents:
      west:
        features:
          - {column: U1, name: voltage_1, unit: pu, scale: 0.0025}   # value = scale * column + offset
          - {column: P1, name: load_1, unit: MW}
        action: {kind: box, low: [-1.0], high: [1.0]}
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from broker import codec, topics
from broker.bag.errors import BagError
from broker.bag.layout import origin_of, packed
from broker.bag.making import making
from broker.bag.writer import BagWriter
from broker.messages import Clock, GridDescription, Observation

_NS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
_SENDER = "import"
_ANY_ACTION = {"kind": "box", "low": [-1.0], "high": [1.0]}


@dataclass(frozen=True)
class Feature:
    """One column that becomes a number of an observation."""

    column: str
    name: str
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Mapped:
    """What a mapping file says."""

    grid: str
    dt_s: float
    time_column: str
    time_unit: str
    features: Mapping[str, tuple[Feature, ...]]  # agent -> its observation
    actions: Mapping[str, Mapping[str, Any]]  # agent -> its action space


def import_csv(table: Path, mapping: Path, out: Path) -> int:
    """Write a bag from a table.

    Args:
        table: CSV with a header.
        mapping: YAML.
        out: the bag.

    Returns:
        How many rows it had.

    Raises:
        BagError: naming the file, line and column that cannot be used.
    """
    mapped = read_mapping(mapping)
    text = mapping.read_text(encoding="utf-8")
    with making(out) as part:
        writer = BagWriter(part, {"made": {"by": "import", "from": str(table), "mapping": text}})
        try:
            rows = _write(writer, mapped, _rows(table, mapped))
        except BaseException:
            writer.close()
            raise
        writer.finish()
    return rows


def read_mapping(path: Path) -> Mapped:
    """Read a mapping file.

    Raises:
        BagError: naming the key that is missing or wrong.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        time, agents = document["time"], document["agents"]
        return Mapped(
            str(document["grid"]),
            float(document.get("dt_s", 1.0)),
            str(time["column"]),
            _unit(path, str(time.get("unit", "s"))),
            {
                name: tuple(Feature(**feature) for feature in agent["features"])
                for name, agent in agents.items()
            },
            {name: agent.get("action", _ANY_ACTION) for name, agent in agents.items()},
        )
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise BagError(msg) from None
    except yaml.YAMLError as error:
        msg = f"{path}: is no YAML: {error}"
        raise BagError(msg) from None
    except KeyError as error:
        msg = f"{path}: {error} is missing; a mapping has grid, time.column, agents.<name>.features"
        raise BagError(msg) from None
    except BagError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        msg = f"{path}: {error}; a feature has column, name, unit, scale, offset"
        raise BagError(msg) from None


def _unit(path: Path, unit: str) -> str:
    if unit not in (*_NS, "iso"):
        msg = f"{path}: time.unit is {unit!r}, expected s, ms, us, ns or iso"
        raise BagError(msg)
    return unit


def _rows(table: Path, mapped: Mapped) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield time, ns, and each agent's (1, d) observation, row by row."""
    try:
        file = table.open(newline="", encoding="utf-8")
    except OSError as error:
        msg = f"{table}: cannot be read: {error.strerror}"
        raise BagError(msg) from None
    with file:
        reader = csv.DictReader(file)
        wanted = [mapped.time_column, *(f.column for fs in mapped.features.values() for f in fs)]
        absent = [column for column in wanted if column not in (reader.fieldnames or [])]
        if absent:
            there = ", ".join(reader.fieldnames or [])
            msg = f"{table}: there is no column {', '.join(absent)}; it has {there}"
            raise BagError(msg)
        last_ns = None
        for row in reader:
            where = f"{table}:{reader.line_num}"
            text = row[mapped.time_column]
            stamp_ns = _stamp(where, text, mapped)
            if last_ns is not None and stamp_ns <= last_ns:
                msg = f"{where}: time {text} is not after that of the row before; sort the rows"
                raise BagError(msg)
            last_ns = stamp_ns
            yield (
                stamp_ns,
                {
                    agent: np.array([[_number(where, row, f) for f in features]], np.float32)
                    for agent, features in mapped.features.items()
                },
            )


def _stamp(where: str, text: str, mapped: Mapped) -> int:
    try:
        if mapped.time_unit == "iso":
            return round(datetime.fromisoformat(text).timestamp() * 1e6) * 1000
        return round(float(text) * _NS[mapped.time_unit])
    except (ValueError, TypeError):
        msg = f"{where}: column {mapped.time_column}: {text!r} is no time in {mapped.time_unit}"
        raise BagError(msg) from None


def _number(where: str, row: Mapping[str, str], feature: Feature) -> float:
    try:
        return feature.scale * float(row[feature.column]) + feature.offset
    except (ValueError, TypeError):
        msg = f"{where}: column {feature.column}: {row[feature.column]!r} is no number"
        raise BagError(msg) from None


def _write(writer: BagWriter, mapped: Mapped, rows: Iterator[tuple[int, dict[str, np.ndarray]]]) -> int:
    tick, first_ns = -1, 0
    no_reward, no = np.zeros(1, np.float32), np.zeros(1, np.bool_)
    for tick, (stamp_ns, observations) in enumerate(rows):
        if tick == 0:
            first_ns = stamp_ns
            _put(writer, topics.DESCRIPTION, _description(mapped), 0, stamp_ns, 0.0)
        time_s = (stamp_ns - first_ns) / 1e9
        _put(writer, topics.CLOCK, Clock(1, tick, time_s), tick, stamp_ns, time_s)
        for agent, obs in observations.items():
            message = Observation(1, tick, np.full(1, tick, np.int64), obs, no_reward, no, no)
            _put(writer, topics.observation(agent), message, tick, stamp_ns, time_s)
    if tick < 0:
        msg = "the table has a header, but no rows"
        raise BagError(msg)
    return tick + 1


def _put(writer: BagWriter, topic: str, message: Any, seq: int, stamp_ns: int, time_s: float) -> None:
    frames = codec.encode(topic, message, sender=_SENDER, incarnation=1, seq=seq, time_s=time_s)
    origin = origin_of(frames[1])
    assert origin is not None
    latched = topic == topics.DESCRIPTION
    channel = writer.channel(topic, origin.type, origin.schema, latched=latched)
    writer.write(channel, packed(frames), seq, stamp_ns, stamp_ns)


def _description(mapped: Mapped) -> GridDescription:
    agents = tuple(mapped.features)
    spaces = {
        agent: {
            "observation": {"kind": "box", "low": [None] * len(fs), "high": [None] * len(fs)},
            "action": mapped.actions[agent],
        }
        for agent, fs in mapped.features.items()
    }
    features = {
        "state": [],
        "agents": {
            agent: {"observation": [[f.name, f.unit] for f in fs], "action": []}
            for agent, fs in mapped.features.items()
        },
        "metrics": [],
    }
    config = json.dumps({"imported": mapped.grid})
    return GridDescription(
        name=mapped.grid,
        epoch=1,
        n_envs=1,
        dt_s=mapped.dt_s,
        agents=agents,
        spaces=json.dumps(spaces),
        features=json.dumps(features),
        neighbours=json.dumps({agent: [] for agent in agents}),
        state_dim=0,
        in_flight_dim=0,
        masked=False,
        reasons=(),
        partition="",
        config=config,
        config_sha256=hashlib.sha256(config.encode()).hexdigest(),
    )
