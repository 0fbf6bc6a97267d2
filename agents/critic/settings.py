"""All that can be set about a critic, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from agents.critic.errors import CriticSettingsError


class RewardSharing(StrEnum):
    """Which reward an agent's advantages are made of."""

    SHARED = "shared"  # the mean over all agents
    LOCAL = "local"  # each agent's own
    SPATIAL = "spatial"  # all agents' discounted by distance: Σ_j α^d_ij r_j


@dataclass(frozen=True)
class CriticSettings:
    """Settings of one critic, centralized or independent."""

    reward: RewardSharing = RewardSharing.SHARED
    alpha: float = 0.5  # spatial discount per hop; read only where reward is spatial
    hidden: tuple[int, ...] = (256, 256)  # units per layer
    learning_rate: float = 1e-3
    epochs: int = 10  # passes over a rollout
    minibatch_size: int = 512  # samples per gradient step
    huber_delta: float = 10.0  # on normalized values, if popart is on
    max_grad_norm: float = 10.0
    popart: bool = True
    popart_decay: float = 0.95  # weight of the past per rollout, in the value statistics
    history_ticks: int = 4096  # grid states kept at most
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "reward", RewardSharing(self.reward))
            object.__setattr__(self, "hidden", tuple(int(units) for units in self.hidden))
        except (ValueError, TypeError) as error:
            rewards = ", ".join(RewardSharing)
            msg = f"critic settings: {error}; reward is one of {rewards}, hidden a list of sizes"
            raise CriticSettingsError(msg) from error
        _require(bool(self.hidden) and min(self.hidden) > 0, "hidden", self.hidden, "positive sizes")
        _require(0.0 <= self.alpha <= 1.0, "alpha", self.alpha, "0 to 1")
        _require(self.learning_rate > 0.0, "learning_rate", self.learning_rate, "above 0")
        _require(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        _require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        _require(self.huber_delta > 0.0, "huber_delta", self.huber_delta, "above 0")
        _require(self.max_grad_norm > 0.0, "max_grad_norm", self.max_grad_norm, "above 0")
        _require(0.0 <= self.popart_decay < 1.0, "popart_decay", self.popart_decay, "0 to below 1")
        _require(self.history_ticks >= 2, "history_ticks", self.history_ticks, "at least 2")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> CriticSettings:
        """Return settings from a mapping, e.g. the `critic:` part of a launch file.

        Raises:
            CriticSettingsError: for an unknown name or a value out of range.
        """
        _refuse_unknown(cls, values)
        return cls(**values)


@dataclass(frozen=True)
class CriticNodeSettings:
    """What the critic node serves, and where it keeps what it learns."""

    settings: CriticSettings = field(default_factory=CriticSettings)
    agents: tuple[str, ...] | None = None  # those that learn; None: all of the grid
    n_steps: int = 128  # of the agents' rollouts; only to refuse a history that is too short for them
    updates: int | None = None  # rollouts until the run is over, for progress reports
    models_dir: str | None = None  # critic.pt is kept here
    tensorboard_dir: str | None = None
    load: str | None = None  # a models folder of an earlier run to start from
    run_dir: str | None = None  # timing/ is written below it

    def __post_init__(self) -> None:
        needed = self.n_steps + 1
        kept = self.settings.history_ticks
        _require(kept >= needed, "history_ticks", kept, f"at least n_steps + 1 = {needed}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> CriticNodeSettings:
        """Return settings from a mapping, e.g. a node's JSON file.

        Raises:
            CriticSettingsError: for an unknown name or a value out of range.
        """
        _refuse_unknown(cls, values)
        agents = values.get("agents")
        critic = CriticSettings.from_mapping(values.get("settings", {}))
        return cls(**{**values, "settings": critic, "agents": None if agents is None else tuple(agents)})


def _refuse_unknown(kind: type[CriticSettings | CriticNodeSettings], values: Mapping[str, Any]) -> None:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    _require(not unknown, "settings", unknown, f"names out of {', '.join(sorted(known))}")


def _require(condition: bool, name: str, got: object, expected: str) -> None:
    if not condition:
        msg = f"critic settings: {name} is {got}, expected {expected}"
        raise CriticSettingsError(msg)
