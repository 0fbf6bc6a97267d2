"""The agent node: one agent of the ensemble on the bus, learning, acting, or following a rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from agents.baselines import Policy, make_baseline
from agents.errors import EpochChangedError, SimulatorGoneError
from agents.seat import Seat
from agents.settings import AgentSettings
from broker import Node
from broker.stopwatch import Stopwatch

STOPPED = 143  # exit code of an agent that was stopped before its work was done, as by SIGTERM


class AgentNode:
    """One agent.

    Args:
        node: the connection to the broker; its name is the agent's.
        settings: what the agent does.
        agent: the agent's name in the grid, where it differs from the node's.
    """

    def __init__(self, node: Node, settings: AgentSettings, agent: str | None = None) -> None:
        self._node = node
        self._settings = settings
        self._agent = agent or node.name

    def run(self) -> int:
        """Take the seat and act until the work is done or the simulator is gone.

        Returns:
            the process's exit code: 0 when the work is done, STOPPED if it was told to end before.
        """
        try:
            seat = Seat(self._node, self._agent)
        except SimulatorGoneError:
            if self._node.ok():
                raise
            return STOPPED  # before there was a grid
        try:
            if self._settings.mode == "train" and self._settings.baseline is None:
                # Stable-Baselines3 and torch are imported only by agents that learn.
                from agents.learner import Learner

                learner = Learner(seat, self._settings)
                self._node.set_status("ready")
                learner.run()
            else:
                policy = self._policy(seat)
                self._node.set_status("ready")
                self._act(seat, policy)
        except SimulatorGoneError:
            if self._node.ok():
                raise
            return STOPPED
        self._node.set_status("done", tick=seat.tick)
        return 0

    def _policy(self, seat: Seat) -> Policy:
        settings = self._settings
        if settings.baseline is not None:
            return make_baseline(settings.baseline, seat.view, settings.seed)
        from agents.saved_policy import SavedPolicy

        assert settings.load is not None
        return SavedPolicy.load(
            settings.load, self._agent, deterministic=settings.deterministic, seed=settings.seed
        )

    def _act(self, seat: Seat, policy: Policy) -> None:
        """Answer every observation until `max_ticks`, or as long as the simulator goes on."""
        watch, ticks, limit = Stopwatch(), 0, self._settings.max_ticks
        self._node.set_status("running", tick=0)
        observation = seat.sit_down()
        starts = np.ones(seat.view.n_envs, np.bool_)
        while limit is None or ticks < limit:
            watch.lap("waiting")
            action = policy.act(observation.obs, observation.mask, starts)
            watch.lap("acting")
            seat.answer(action)
            watch.lap("messaging")
            ticks += 1
            if ticks % 100 == 0:
                self._node.set_status("running", tick=seat.tick, note=json.dumps({"ticks": ticks}))
            try:
                observation = seat.next()
                starts = observation.terminated | observation.truncated
            except EpochChangedError:
                observation = seat.sit_down()
                starts = np.ones(seat.view.n_envs, np.bool_)
        seat.leave()
        if self._settings.run_dir is not None:
            path = Path(self._settings.run_dir) / "timing" / f"{self._node.name}.json"
            watch.write(path, ticks=ticks, n_envs=seat.view.n_envs)
