"""One copy of a grid as a PettingZoo ParallelEnv."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from simulator.frame import Frame
from simulator.world import World

Row = NDArray[np.generic]


class GridParallelEnv(ParallelEnv):  # type: ignore[misc]
    """A World of one copy under PettingZoo's rules: agents leave when the episode ends.

    The grid begins the next episode by itself as one ends; the reset after it shows that beginning, so that
    no scenario is left out. Infos hold the action mask (`action_mask`, where the grid has masks) and the
    grid's metrics, those of a reset after an episode the mask only; `state()` is the undelayed global state.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "gridchorus_v0",
        "render_modes": [],
        "is_parallelizable": True,
    }

    def __init__(self, world: World) -> None:
        self.world = world
        self.possible_agents = list(world.spec.agents)
        self.agents: list[str] = []
        self.render_mode = None
        self._state: Row | None = None
        self._begun: Frame | None = None  # of an episode that nobody has been shown yet
        self.state_space = spaces.Box(-np.inf, np.inf, (len(world.spec.state_names),), np.float32)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the observation space of `agent`."""
        return self.world.spec.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Row]:
        """Return the action space of `agent`."""
        return self.world.spec.action_spaces[agent]

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 (PettingZoo's signature)
    ) -> tuple[dict[str, Row], dict[str, dict[str, Any]]]:
        """Start a new episode; a seed fixes this and all later ones."""
        begun, self._begun = self._begun, None
        frame = self.world.reset(seed) if begun is None or seed is not None else begun
        self.agents = list(self.possible_agents)
        self._state = frame.state[0]
        return {a: frame.observations[a][0] for a in self.agents}, {a: _info(frame, a) for a in self.agents}

    def step(
        self, actions: dict[str, Row]
    ) -> tuple[dict[str, Row], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Advance by one tick; with no agents left it returns empty mappings."""
        if not self.agents:
            return {}, {}, {}, {}, {}
        frame = self.world.step({agent: np.asarray(action)[None] for agent, action in actions.items()})
        done = bool(frame.done[0])
        shown = frame.final_observations if done and frame.final_observations else frame.observations
        last = frame.final_state if done and frame.final_state is not None else frame.state
        self._state = last[0]
        present = self.agents
        if done:
            self.agents = []
            self._begun = replace(frame, info={})  # its metrics are the old episode's
        return (
            {a: shown[a][0] for a in present},
            {a: float(frame.rewards[0, i]) for i, a in enumerate(self.possible_agents)},
            dict.fromkeys(present, bool(frame.terminated[0])),
            dict.fromkeys(present, bool(frame.truncated[0])),
            {a: _info(frame, a) for a in present},
        )

    def state(self) -> Row:
        """Return the undelayed global state (s,)."""
        if self._state is None:
            msg = f"grid '{self.world.spec.name}': state before reset; call reset() first"
            raise RuntimeError(msg)
        return self._state

    def render(self) -> None:
        """Draw nothing: grids draw whole episodes, see their pages in docs/."""

    def close(self) -> None:
        """Close the grid."""
        self.world.close()


def _info(frame: Frame, agent: str) -> dict[str, Any]:
    info: dict[str, Any] = {name: values[0] for name, values in frame.info.items()}
    if frame.masks is not None and agent in frame.masks:
        info["action_mask"] = frame.masks[agent][0].astype(np.int8)
    return info
