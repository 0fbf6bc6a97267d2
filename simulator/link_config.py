"""Settings of the SCADA link, checked when they are made.

A link has, for every agent, a measurement channel (grid to agent) and a command channel (agent to
grid). All times are simulation time. A value that is measured at tick t and delayed by d ticks is
what the agent is shown at tick ceil(t + d).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite, isnan
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeVar, cast, get_args

from simulator.errors import OptionError

Distribution = Literal["none", "uniform", "lognormal", "gamma", "choice"]
Every = Literal["message", "episode"]
Unit = Literal["ticks", "seconds"]


def _require(ok: bool, where: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"SCADA link: {where} is {got!r}, expected {expected}"
        raise OptionError(msg)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and not isnan(value)


def _is_size(value: Any) -> bool:
    """Return whether it is a finite number >= 0."""
    return _is_number(value) and isfinite(value) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and _is_size(value)


@dataclass(frozen=True)
class Delay:
    """How long a message is under way: `fixed` plus a random part, both in `unit`.

    The random part is uniform on [0, 2 mean], or lognormal or gamma with the given mean and
    standard deviation, the total then cut off at `limit_ticks`, or one of `choices`, each as likely.
    It is drawn anew for every message, or once per episode: then for all agents with the same settings
    at once, as a network is slow as a whole, and for all copies of one scenario.
    """

    fixed: float = 0.0
    unit: Unit = "ticks"
    distribution: Distribution = "none"
    mean: float = 0.0
    std: float = 0.0
    choices: tuple[float, ...] = ()
    every: Every = "message"
    limit_ticks: int = 16

    def __post_init__(self) -> None:
        for name in ("fixed", "mean", "std"):
            _require(_is_size(getattr(self, name)), f"delay.{name}", getattr(self, name), "a number >= 0")
        _require(self.unit in get_args(Unit), "delay.unit", self.unit, "'ticks' or 'seconds'")
        _require(self.distribution in get_args(Distribution), "delay.distribution", self.distribution,
                 f"one of {get_args(Distribution)}")  # fmt: skip
        needs_spread = self.distribution in ("lognormal", "gamma")
        _require(not needs_spread or (self.mean > 0 and self.std > 0), "delay.mean and delay.std",
                 (self.mean, self.std), f"both > 0 with distribution '{self.distribution}'")  # fmt: skip
        chosen = all(_is_size(choice) for choice in self.choices)
        _require(chosen and bool(self.choices) == (self.distribution == "choice"), "delay.choices",
                 self.choices, "numbers >= 0 with distribution 'choice', none with any other")  # fmt: skip
        _require(self.every in get_args(Every), "delay.every", self.every, f"one of {get_args(Every)}")
        _require(_is_count(self.limit_ticks), "delay.limit_ticks", self.limit_ticks, "an integer >= 0")


@dataclass(frozen=True)
class ChannelConfig:
    """One direction of one agent's link."""

    delay: Delay = field(default_factory=Delay)
    loss: float = 0.0  # probability that a message never arrives
    reorder: bool = False  # True: messages may overtake each other, and the last to arrive is believed
    on_missing: Literal["hold", "default"] = "hold"  # default: zeros (measurement) or the fallback (command)
    deadband: float = 0.0  # a value is reported again only when it moved by more than this
    noise_std: float = 0.0  # of additive Gaussian noise, in units of the feature
    quantum: float = 0.0  # values are rounded to multiples of this; 0 is exact
    outages: tuple[tuple[float, float], ...] = ()  # [from, to) in seconds of episode time: nothing is sent

    def __post_init__(self) -> None:
        _require(_is_size(self.loss) and self.loss <= 1, "loss", self.loss, "a probability in [0, 1]")
        _require(isinstance(self.reorder, bool), "reorder", self.reorder, "true or false")
        _require(self.on_missing in ("hold", "default"), "on_missing", self.on_missing, "'hold' or 'default'")
        for name in ("deadband", "noise_std", "quantum"):
            _require(_is_size(getattr(self, name)), name, getattr(self, name), "a number >= 0")
        for outage in self.outages:
            span = len(outage) == 2 and all(map(_is_number, outage)) and outage[0] < outage[1]
            _require(span, "outages", outage, "[from_s, to_s], from < to")

    @property
    def transparent(self) -> bool:
        """Return whether messages pass unchanged and at once."""
        return self == ChannelConfig(reorder=self.reorder, on_missing=self.on_missing)


@dataclass(frozen=True)
class AgentLink:
    """Both directions of one agent's link."""

    measurement: ChannelConfig = field(default_factory=ChannelConfig)
    command: ChannelConfig = field(default_factory=lambda: ChannelConfig(on_missing="default"))


@dataclass(frozen=True)
class LinkConfig:
    """The link of every agent: `default`, and `agents` for those that differ."""

    default: AgentLink = field(default_factory=AgentLink)
    agents: Mapping[str, AgentLink] = field(default_factory=dict)
    age_feature: bool = False  # append the age of the measurement (ticks) to every observation

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build from nested mappings, as in a launch file.

        An agent's entry is laid over the default, key by key.

        Raises:
            OptionError: an unknown key, or a value of the wrong type or range; the path is named.
        """
        known = {"default", "agents", "age_feature"}
        unknown = sorted(set(_mapping(settings, "scada")) - known, key=str)
        _require(not unknown, "scada", unknown, f"keys out of {sorted(known)}")
        shared, each = _section(settings, "default"), _section(settings, "agents")
        age = settings.get("age_feature", False)
        _require(isinstance(age, bool), "scada.age_feature", age, "true or false")
        default = _build(AgentLink, shared, "scada.default")
        agents = {}
        for name, own in each.items():
            where = f"scada.agents.{name}"
            agents[name] = _build(AgentLink, _overlay(shared, _mapping(own, where)), where)
        return cls(default, agents, age)

    def of(self, agent: str) -> AgentLink:
        """Return the link of `agent`."""
        return self.agents.get(agent, self.default)

    def check_agents(self, agents: tuple[str, ...]) -> None:
        """Raise OptionError if the link names an agent that the grid does not have."""
        unknown = sorted(set(self.agents) - set(agents), key=str)
        _require(not unknown, "scada.agents", unknown, f"names out of {agents}")


def fixed_delay(ticks: int) -> LinkConfig:
    """Return a link whose measurements arrive `ticks` ticks late and whose commands arrive at once."""
    return LinkConfig(AgentLink(measurement=ChannelConfig(delay=Delay(fixed=ticks))))


def _mapping(settings: object, where: str) -> Mapping[str, Any]:
    _require(isinstance(settings, Mapping), where, settings, "a mapping")
    return cast(Mapping[str, Any], settings)


def _section(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a part of the settings, which may be missing or left empty."""
    return {} if settings.get(key) is None else _mapping(settings[key], f"scada.{key}")


def _overlay(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _overlay(base[key], value) if nested else value
    return merged


T = TypeVar("T")

_NESTED = {"delay": Delay, "measurement": ChannelConfig, "command": ChannelConfig}


def _build(kind: type[T], settings: Mapping[str, Any], where: str) -> T:
    assert is_dataclass(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(_mapping(settings, where)) - set(known), key=str)
    _require(not unknown, where, unknown, f"keys out of {sorted(known)}")
    try:
        values = {key: _value(key, value, where) for key, value in settings.items()}
    except TypeError as error:
        raise _wrong_type(settings, where, error) from error
    try:
        return kind(**values)
    except TypeError as error:
        raise _wrong_type(settings, where, error) from error
    except OptionError as error:
        msg = f"{where}: {error}"
        raise OptionError(msg) from error


def _wrong_type(settings: Mapping[str, Any], where: str, error: TypeError) -> OptionError:
    return OptionError(f"{where}: {settings!r} has a value of the wrong type ({error})")


def _value(key: str, value: Any, where: str) -> Any:
    if key in _NESTED:
        own = _mapping(value, f"{where}.{key}")
        given = {"on_missing": "default", **own} if key == "command" else own
        return _build(_NESTED[key], given, f"{where}.{key}")
    if key == "outages":
        return tuple(tuple(outage) for outage in value)
    return tuple(value) if key == "choices" else value
