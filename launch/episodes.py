"""Play episodes of a grid in one process, and add up how they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.baselines import Policy, Starts
from launch.errors import LaunchError
from launch.measures import Running, parse_measures
from simulator.frame import Actions, Frame
from simulator.oracle import Oracle
from simulator.world import World

PROGRESS_S = 5.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Episode:
    """How one policy fared in one scenario."""

    policy: str
    scenario: int  # copy of the evaluator's grid
    ticks: int
    limit: int  # ticks of a whole episode
    terminated: bool  # ended before its time
    episode_return: float  # sum over ticks of the mean reward over agents
    interventions: float  # share of agents and ticks with an action other than the grid's fallback
    metrics: Mapping[str, float]  # means over the episode, and the measures that were asked for

    @property
    def survived(self) -> float:
        """Return the share of the episode before the tick that ended it, 0 to 1; 1 if none did."""
        return (self.ticks - 1) / self.limit if self.terminated else 1.0


def play(
    world: World,
    name: str,
    policies: Mapping[str, Policy] | Oracle,
    max_ticks: int | None,
    say: Progress,
    measures: Sequence[str] = (),
) -> list[Episode]:
    """Play the first episode of every copy.

    Args:
        world: a fresh grid; its own seed decides the scenarios.
        name: of the policy.
        policies: one per agent, or an oracle for all.
        max_ticks: of an episode; None: to its end.
        say: told how far it is every few seconds.
        measures: figures beside the means of all metrics (launch.measures).

    Raises:
        LaunchError: a measure is not of the form, or the grid's episodes have no end.
    """
    spec = world.spec
    frame = world.reset()
    tally = _Tally(world, name, measures, say)
    starts = np.ones(spec.n_envs, np.bool_)
    said = time.monotonic()
    limit = max_ticks or _limit(world)
    while tally.running.any() and tally.tick < limit:
        actions = _choose(policies, frame, starts)
        resting = {agent: world.fallback(agent) for agent in spec.agents}
        frame = world.step(actions)
        starts = frame.done
        tally.count(frame, resting)
        if time.monotonic() - said > PROGRESS_S:
            said = time.monotonic()
            say(f"{name}: tick {tally.tick} of at most {limit}, {int(tally.running.sum())} episodes go on")
    return tally.episodes(limit)


def _choose(policies: Mapping[str, Policy] | Oracle, frame: Frame, starts: Starts) -> Actions:
    if not isinstance(policies, Mapping):
        return policies.act()
    masks = frame.masks or {}
    return {
        agent: policy.act(frame.observations[agent], masks.get(agent), starts)
        for agent, policy in policies.items()
    }


class _Tally:
    """Adds up the first episode of every copy."""

    def __init__(self, world: World, name: str, measures: Sequence[str], say: Progress) -> None:
        n = world.spec.n_envs
        self._world = world
        self._name = name
        self.tick = 0
        self.running = np.ones(n, np.bool_)
        self._ticks = np.zeros(n, np.int64)
        self._terminated = np.zeros(n, np.bool_)
        self._return = np.zeros(n)
        self._acted = np.zeros(n)
        names = world.spec.metric_names
        wanted = [*(m for m in measures if m not in names), *names]
        self._running = [Running.start(measure, n) for measure in parse_measures(wanted, names, say)]

    def count(self, frame: Frame, resting: Actions) -> None:
        """Add one tick; `resting` is what the fallback would have done in it."""
        self.tick += 1
        now = self.running
        self._ticks[now] += 1
        self._return[now] += frame.rewards[now].mean(axis=1)
        self._acted += np.where(now, self._interventions(frame, resting), 0.0)
        for running in self._running:
            if running.measure.metric in frame.info:
                running.count(self.tick, frame.info[running.measure.metric], now)
        self._terminated |= now & frame.terminated
        self.running = now & ~frame.done

    def episodes(self, limit: int) -> list[Episode]:
        metrics = {running.measure.text: running.result() for running in self._running}
        return [
            Episode(
                policy=self._name,
                scenario=copy,
                ticks=int(self._ticks[copy]),
                limit=limit,
                terminated=bool(self._terminated[copy]),
                episode_return=float(self._return[copy]),
                interventions=float(self._acted[copy] / self._ticks[copy]),
                metrics={name: float(values[copy]) for name, values in metrics.items()},
            )
            for copy in range(len(self._ticks))
        ]

    def _interventions(self, frame: Frame, resting: Actions) -> Any:
        """Return (E,): the share of agents whose applied action is not the fallback."""
        assert frame.applied is not None
        acted = [
            (frame.applied[agent] != resting[agent]).reshape(len(self._ticks), -1).any(axis=1)
            for agent in self._world.spec.agents
        ]
        return np.mean(acted, axis=0)


def _limit(world: World) -> int:
    """Return the ticks of a whole episode, as the grid's options say."""
    for option in ("max_steps", "episode_ticks"):
        value = world.spec.options.get(option)
        if isinstance(value, int):
            return value
    msg = f"grid '{world.spec.name}' has episodes without end; set evaluator.max_ticks"
    raise LaunchError(msg)
