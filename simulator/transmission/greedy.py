"""A greedy player that tries every action one step ahead and takes the best: an upper reference for agents.

It is no agent: it sees the whole grid without delay, knows the model and the forecasts of the next step
(grid2op's `obs.simulate`), and decides alone for all clusters. It plays by the agents' rules: one action out
of their catalogues per step, only where masks and gate allow it. The greedy topology agents of the L2RPN
competitions do the same (Marot et al., "Learning to run a power network challenge: a retrospective analysis",
PMLR 133, 2021).
"""

from __future__ import annotations

import numpy as np

from simulator.errors import OptionError
from simulator.frame import Actions
from simulator.transmission.grid import Choice, TransmissionGrid
from simulator.transmission.types import Int

THRESHOLD = 0.95  # rho from which on it acts; the gate of the grid it plays on


class SimulateGreedy:
    """Plays one grid that was made with `forecasts=true`.

    Args:
        grid: with topology agents; its gate says from which rho on an action is looked for.

    Raises:
        OptionError: no forecasts, or continuous agents.
    """

    def __init__(self, grid: TransmissionGrid) -> None:
        spec = grid.spec
        if not spec.options["forecasts"] or spec.options["actions"] != "topology":
            msg = f"{spec.name}: the greedy player needs the options forecasts=true and actions='topology'"
            raise OptionError(msg)
        self._grid = grid
        self._nothing: Choice = (spec.agents[0], 0)

    def act(self) -> Actions:
        """Return (E,) per agent: the action with the smallest forecast rho, everybody else doing nothing."""
        spec = self._grid.spec
        tries = [self._choices(copy) for copy in range(spec.n_envs)]
        actions: dict[str, Int] = {agent: np.zeros(spec.n_envs, np.int64) for agent in spec.agents}
        for copy, rho in enumerate(self._grid.look_ahead(tries)):
            if len(rho):
                agent, action = tries[copy][int(rho.argmin())]  # the first of equals: doing nothing
                actions[agent][copy] = action
        return actions

    def _choices(self, copy: int) -> list[Choice]:
        """Return what may be done in a copy, doing nothing first; nothing at all where there is no choice."""
        allowed = self._grid.masks().items()
        acts = [(agent, int(a)) for agent, mask in allowed for a in np.flatnonzero(mask[copy]) if a]
        return [self._nothing, *acts] if acts else []
