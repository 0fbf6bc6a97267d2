"""The messages of an ensemble: frozen dataclasses that validate themselves.

Scalars travel in the MessagePack header, numpy arrays as raw frames (see `codec`). E is the number
of environment copies. Arrays are contiguous and of a whitelisted dtype; optional arrays may be None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from broker.errors import MessageError

Array = NDArray[Any]


def _check(message: object, columns: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> None:
    """Check that columns are (E,) and tables (E, any number), all with the same E; tables may be None."""
    arrays = vars(message)
    shapes = [arrays[name].shape for name in columns]
    shapes += [arrays[name].shape[:-1] for name in tables if arrays[name] is not None]
    if len(shapes[0]) != 1 or shapes.count(shapes[0]) != len(shapes):
        raise MessageError(_misshapen(message, dict.fromkeys(columns, 1) | dict.fromkeys(tables, 2)))


def _misshapen(message: object, dimensions: dict[str, int]) -> str:
    kind = type(message).__name__
    shapes = {name: a.shape for name in dimensions if (a := vars(message)[name]) is not None}
    for name, shape in shapes.items():
        if len(shape) != dimensions[name]:
            return f"{kind}: array '{name}' has shape {shape}, expected {dimensions[name]} dimension(s)"
    sizes = {name: shape[:1] for name, shape in shapes.items()}
    return f"{kind}: arrays disagree on their first dimension: {sizes}, expected the same in all"


@dataclass(frozen=True)
class GridDescription:
    """`/grid/description`, latched: everything an agent must know of the grid (JSON where nested)."""

    name: str
    epoch: int
    n_envs: int
    dt_s: float
    agents: tuple[str, ...]
    spaces: str  # JSON: agent -> {observation: {low, high}, action: {kind: discrete|box, n | low, high}}
    features: str  # JSON: state and per-agent observation and action names and units, metric names
    neighbours: str  # JSON: agent -> list of agents
    state_dim: int
    in_flight_dim: int
    masked: bool  # whether observations carry action masks
    reasons: tuple[str, ...]  # texts of illegal verdicts
    partition: str  # JSON of the partition in force, or empty
    config: str  # JSON of the resolved options
    config_sha256: str
    mode: str = "lockstep"


@dataclass(frozen=True)
class Observation:
    """`/grid/observation/<agent>`: what one agent is shown, through the SCADA link."""

    epoch: int
    tick: int
    measured_tick: Array  # (E,) <i8 the tick that `obs` shows
    obs: Array  # (E, d) <f4
    reward: Array  # (E,) <f4 for the step into this tick
    terminated: Array  # (E,) |b1
    truncated: Array  # (E,) |b1
    mask: Array | None = None  # (E, n) |b1
    final_obs: Array | None = None  # (E, d) <f4, rows of done copies; None if no copy is done

    def __post_init__(self) -> None:
        _check(self, ("measured_tick", "reward", "terminated", "truncated"), ("obs", "mask", "final_obs"))


@dataclass(frozen=True)
class GridState:
    """`/grid/state`, undelayed, for training and recording only."""

    epoch: int
    tick: int
    state: Array  # (E, s) <f4
    in_flight: Array  # (E, k) <f4 what the SCADA link still holds
    rewards: Array  # (E, n_agents) <f4
    terminated: Array  # (E,) |b1
    truncated: Array  # (E,) |b1
    metrics: Array  # (E, m) <f4 in the order of the description's metric names
    final_state: Array | None = None  # (E, s + k) <f4 state and in-flight, rows of done copies

    def __post_init__(self) -> None:
        tables = ("state", "in_flight", "rewards", "metrics", "final_state")
        _check(self, ("terminated", "truncated"), tables)


@dataclass(frozen=True)
class AppliedAction:
    """`/grid/applied`: what the grid really did with the proposals of one tick."""

    epoch: int
    tick: int
    verdicts: Array  # (E, n_agents) |u1: 0 applied, 1 late, 2 illegal, 3 lost arbitration
    details: Array  # (E, n_agents) <i4: reason index, or index of the winning agent, or -1
    actions: Array  # (E, sum of widths) <f4 applied actions side by side, in the order of agents
    widths: tuple[int, ...]  # columns per agent

    def __post_init__(self) -> None:
        _check(self, tables=("verdicts", "details", "actions"))


@dataclass(frozen=True)
class Action:
    """`/agents/<agent>/action`: one agent's answer to (epoch, tick).

    Of any shape: one that is not in the agent's space is the grid's to judge, as illegal (simulator.actions).
    """

    epoch: int
    tick: int
    action: Array  # (E,) <i8 or (E, d) <f4
    policy_version: int = 0
    leaving: bool = False  # True: the agent takes no further part; its action is not applied


@dataclass(frozen=True)
class PeerMessage:
    """`/agents/<agent>/message`: learned communication to neighbours."""

    epoch: int
    tick: int
    content: Array  # (E, m) <f4

    def __post_init__(self) -> None:
        _check(self, tables=("content",))


@dataclass(frozen=True)
class Clock:
    """`/clock`: simulation time."""

    epoch: int
    tick: int
    time_s: float


@dataclass(frozen=True)
class NodeStatus:
    """`/nodes/<node>/status`: heartbeat with state and counters."""

    state: str  # starting, ready, running, done, failed
    tick: int
    received: int
    sent: int
    lost: int  # sequence gaps seen
    refused: int  # malformed messages refused
    note: str = ""


@dataclass(frozen=True)
class LogRecord:
    """`/log`: one line of a node's log."""

    level: str
    text: str


@dataclass(frozen=True)
class AdvantageRequest:
    """Ask for the values of one agent's rollout: ticks first_tick .. first_tick + n_steps - 1."""

    agent: str
    epoch: int
    first_tick: int  # tick of the first observation of the rollout
    n_steps: int
    gamma: float
    gae_lambda: float
    digest: str  # SHA-256 over the agent's rewards and dones; a different one is refused


@dataclass(frozen=True)
class Advantages:
    """The answer: arrays over (n_steps, E)."""

    values: Array  # (T, E) <f4
    advantages: Array  # (T, E) <f4
    returns: Array  # (T, E) <f4
    critic_version: int  # updates made before these values were computed

    def __post_init__(self) -> None:
        _check(self, tables=("values", "advantages", "returns"))


@dataclass(frozen=True)
class ControlRequest:
    """Service `/simulator/control`."""

    command: str  # pause, resume, step, reset, rate, link, status, stop
    arguments: str = "{}"  # JSON object


@dataclass(frozen=True)
class ControlReply:
    """The simulator's answer."""

    epoch: int
    tick: int
    paused: bool
    detail: str = ""


@dataclass(frozen=True)
class HistoryRequest:
    """Service `/simulator/history`: ask for one GridState again, to fill a gap."""

    epoch: int
    tick: int


@dataclass(frozen=True)
class ParametersRequest:
    """Service `/<node>/parameters`: list, get, set or describe."""

    command: str
    name: str = ""
    value: str = ""  # JSON


@dataclass(frozen=True)
class ParametersReply:
    """The parameters asked for, as a JSON object of name to value."""

    values: str


@dataclass(frozen=True)
class RegistryRequest:
    """Services `/broker/nodes`, `/broker/topics`, `/broker/services`: what is on the bus."""

    name: str = ""  # one node, topic or service; empty: all


@dataclass(frozen=True)
class RegistryReply:
    """What the broker knows, as a JSON object of name to record (docs/messages.md lists its keys)."""

    records: str
