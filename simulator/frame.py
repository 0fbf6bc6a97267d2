"""What a grid tells the world: its fixed description (GridSpec) and one tick of it (Frame)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Actions = Mapping[str, NDArray[np.generic]]


class Verdict(IntEnum):
    """What became of one agent's proposal in one copy of the grid."""

    APPLIED = 0
    LATE = 1  # nothing valid arrived in time: the grid's fallback stood in, or the last command was held
    ILLEGAL = 2  # detail: index into GridSpec.reasons
    LOST_ARBITRATION = 3  # detail: index of the agent that won


@dataclass(frozen=True)
class GridSpec:
    """The fixed facts of a grid; spaces are those of ONE copy."""

    name: str
    agents: tuple[str, ...]
    n_envs: int
    dt_s: float  # length of one tick, seconds of simulation time
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    observation_names: Mapping[str, tuple[str, ...]]
    observation_units: Mapping[str, tuple[str, ...]]
    observation_spaces: Mapping[str, spaces.Box]
    action_spaces: Mapping[str, spaces.Space[NDArray[np.generic]]]
    action_names: Mapping[str, tuple[str, ...]]  # of each choice (Discrete) or component (Box)
    metric_names: tuple[str, ...] = ()  # keys of Frame.info
    neighbours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # communication graph
    reasons: tuple[str, ...] = ()  # texts behind Verdict.ILLEGAL details
    partition: str = ""  # JSON text of the partition in force, empty where agents are physical units
    options: Mapping[str, object] = field(default_factory=dict)  # the resolved options, JSON-compatible

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the observation space of one copy of `agent`."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[NDArray[np.generic]]:
        """Return the action space of one copy of `agent`."""
        return self.action_spaces[agent]


@dataclass(frozen=True)
class Frame:
    """One tick of all E copies.

    Copies that ended in this tick are already reset (as in a Gymnasium vector environment with
    same-step autoreset): `observations` and `state` show the new episode, the `final_*` fields
    show how the old one ended, in the rows where `terminated | truncated`.
    """

    observations: Mapping[str, Float32]  # agent -> (E, obs_dim)
    masks: Mapping[str, Bool] | None  # agent with choices -> (E, n_actions), True where it may be taken
    state: Float32  # (E, state_dim), never delayed
    rewards: Float32  # (E, n_agents), in the order of GridSpec.agents
    terminated: Bool  # (E,)
    truncated: Bool  # (E,)
    final_observations: Mapping[str, Float32] | None = None  # agent -> (E, obs_dim); None if no copy ended
    final_state: Float32 | None = None  # (E, state_dim); None if no copy ended
    verdicts: NDArray[np.uint8] | None = None  # (E, n_agents) of Verdict; None after a reset
    verdict_details: NDArray[np.int32] | None = None  # (E, n_agents), -1 where there is nothing to add
    info: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)  # metric -> (E,)
    applied: Actions | None = None  # agent -> (E, ...) what the grid really did; None after a reset
    measured_ticks: Mapping[str, NDArray[np.int64]] | None = None  # agent -> (E,) tick the observation shows
    in_flight: Float32 | None = None  # (E, k) what the SCADA link still holds
    final_in_flight: Float32 | None = None  # (E, k) the same as episodes ended; None if no copy ended

    @property
    def done(self) -> Bool:
        """Return (E,): True where an episode ended in this tick."""
        return self.terminated | self.truncated
