"""Settings of an agent node, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from agents.errors import SettingsError
from agents.recipe import MemorySettings

Algorithm = Literal["ppo", "maskable_ppo", "recurrent_ppo"]
Baseline = Literal[
    "do_nothing",
    "random",
    "reconnect_only",  # transmission grids
    "pi_agc",  # frequency68: gains of the calibration's search
    "pi_agc_usual",  # frequency68: textbook gains
    "pi_agc_forecast",  # frequency68: tuned, with the renewables' forecast fed forward
    "nominal_setpoint",  # microgrids
    "integral_voltage",  # microgrids: each DG by its own voltage
    "consensus_voltage",  # microgrids: and its neighbours'
]


@dataclass(frozen=True)
class AgentSettings:
    """What one agent does on the bus: learn, act by a saved policy, or follow a simple rule."""

    mode: Literal["train", "act"] = "train"
    algorithm: Algorithm = "ppo"
    policy: str = ""  # SB3's name or a class; empty: the algorithm's MLP policy
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)  # of the SB3 algorithm; agents.schedules
    n_steps: int = 128  # ticks of a rollout, the same for all agents of an ensemble
    updates: int = 50  # rollouts until the agent leaves
    seed: int = 0
    weights_seed: int | None = None  # of the policy's initial weights, where several begin alike
    baseline: Baseline | None = None  # a rule in place of a policy
    load: str | None = None  # models/ folder or SB3 zip: to act by, or to start from
    deterministic: bool = False  # mode act: take the most likely action
    max_ticks: int | None = None  # mode act and baselines: leave after so many ticks
    memory: Mapping[str, Any] = field(default_factory=dict)  # agents.recipe.MemorySettings; train only
    corrects: Baseline | None = None  # a rule whose commands the agent's actions are added to; train only
    critic: Mapping[str, Any] = field(default_factory=dict)  # {"mode": ..., settings of agents.critic}
    checkpoint_every: int = 5  # updates
    run_dir: str | None = None  # models/, tb/ and timing/ are written below it

    def __post_init__(self) -> None:
        _require(self.mode in ("train", "act"), "mode", self.mode, "'train' or 'act'")
        _require(
            self.algorithm in get_args(Algorithm),
            "algorithm",
            self.algorithm,
            f"one of {get_args(Algorithm)}",
        )
        _require(self.n_steps >= 2, "n_steps", self.n_steps, "at least 2 ticks")
        _require(self.updates >= 1, "updates", self.updates, "at least 1")
        _require(self.checkpoint_every >= 1, "checkpoint_every", self.checkpoint_every, "at least 1")
        MemorySettings.from_mapping(self.memory)
        rules = (None, *get_args(Baseline))
        _require(self.baseline in rules, "baseline", self.baseline, f"one of {rules}")
        _require(self.corrects in rules, "corrects", self.corrects, f"one of {rules}")
        nothing_to_act_by = self.mode == "act" and self.baseline is None and self.load is None
        _require(not nothing_to_act_by, "load", self.load, "a saved policy, because mode is 'act'")
        critics = ("centralized", "independent", "none")
        _require(self.critic_mode in critics, "critic.mode", self.critic_mode, f"one of {critics}")

    @property
    def critic_mode(self) -> str:
        """Return who judges this agent's actions: "centralized", "independent" or "none"."""
        return str(self.critic.get("mode", "centralized"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping. Raises SettingsError for an unknown key."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        _require(not unknown, "settings", unknown, f"keys out of {sorted(known)}")
        return cls(**values)


def _require(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        msg = f"agent settings: {name} is {got!r}, expected {expected}"
        raise SettingsError(msg)
