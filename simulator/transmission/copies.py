"""Copies of one grid2op environment that step side by side in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Float32
from simulator.transmission.environment import quiet
from simulator.transmission.options import Options
from simulator.transmission.scenarios import Scenario, Scenarios
from simulator.transmission.types import Int, Layout, System, Tick

Float64 = NDArray[np.float64]
Command = Mapping[str, np.ndarray[Any, Any]]  # what grid2op's action space takes; empty: do nothing


class Copies(Protocol):
    """E copies, wherever they run."""

    def reset(self, seed: int | None) -> Tick:
        """Start new episodes; a seed restarts the random streams."""
        ...

    def step(self, commands: Sequence[Command]) -> Tick:
        """Advance every copy by its command, and start a new episode where one ended."""
        ...

    def look_ahead(self, tries: Sequence[Sequence[Command]]) -> list[Float64]:
        """Return for every copy (n,): the largest rho forecast one step after each of its n commands."""
        ...

    def close(self) -> None:
        """Release everything; safe to call twice."""
        ...


@dataclass
class _Result:
    """What one copy reports besides its rows."""

    terminated: bool = False
    truncated: bool = False
    refused: bool = False
    attacked: bool = False
    episode: tuple[int, int, int, int] = (0, 0, 0, 0)
    not_served: float = 0.0


class Copy:
    """One grid2op environment and its stream of scenarios, by the stream's number."""

    def __init__(self, env: Any, layout: Layout, scenarios: Scenarios, options: Options, stream: int) -> None:
        self._env = env
        self._fields = layout.fields
        self._arrays_end = layout.slices[Layout.SCALARS[0]].start
        self._scenarios = scenarios
        self._listed = options.scenarios is not None
        self._stream = stream
        self._do_nothing = env.action_space()
        self._scenario = Scenario(0, 0, 0)
        self._steps = 0  # played in this episode

    def seed(self, seed: int, n_streams: int) -> None:
        """Restart the random streams: scenarios, and what grid2op itself draws."""
        own = np.random.SeedSequence(seed, spawn_key=(self._stream,))
        self._rng = np.random.default_rng(own)
        self._turn, self._stride = self._stream, n_streams
        self._env.seed(int(own.generate_state(1)[0] >> 1))

    def reset(self, row: Float32) -> _Result:
        """Start the next episode and write its first row."""
        if self._listed:
            self._scenario = self._scenarios.listed(self._turn)
            self._turn += self._stride
        else:
            self._scenario = self._scenarios.draw(self._rng)
        self._steps = 0
        self._env.set_id(self._scenario.chronic)
        start = {"init ts": self._scenario.start} if self._scenario.start else {}
        self._obs = self._env.reset(options=start)
        self._read(self._obs, row)
        return _Result(episode=self._episode(0))

    def step(self, command: Command, now: Float32, last: Float32) -> _Result:
        """Advance by one step; write the row as it ended to `last`, and where the copy is to `now`."""
        self._obs, _, done, info = self._env.step(self._action(command))
        self._steps += 1
        self._read(self._obs, last)
        lost = done and not self._obs.line_status.any()  # grid2op's mark of a game over
        out = _Result(
            terminated=lost,
            truncated=not lost and (done or self._steps >= self._scenario.length),
            refused=bool(info["is_illegal"] or info["is_ambiguous"] or info["failed_redispatching"]),
            attacked=info["opponent_attack_line"] is not None,
        )
        if lost:
            rest = self._scenario.length - self._steps + 1  # in the step of the game over nothing is served
            load = self._env.chronics_handler.real_data.load_from_now_mw(rest)
            out.not_served = float(load.sum()) * float(self._env.delta_time_seconds) / 3600.0
        out.episode = self._episode(self._steps - lost)
        if lost or out.truncated:
            self.reset(now)
        else:
            now[:] = last
        return out

    def look_ahead(self, commands: Sequence[Command]) -> Float64:
        """Return (n,): the largest rho that grid2op forecasts for the next step after each command.

        Infinite where the game would be over or grid2op refuses the command. Where the data have no forecast,
        the present injections are taken for the next ones.
        """
        return np.array([self._simulate(self._action(command)) for command in commands], np.float64)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _action(self, command: Command) -> Any:
        return self._env.action_space(dict(command)) if command else self._do_nothing

    def _simulate(self, action: Any) -> float:
        from grid2op.Exceptions import NoForecastAvailable

        try:
            after, _, done, info = self._obs.simulate(action, time_step=1)
        except NoForecastAvailable:
            after, _, done, info = self._obs.simulate(action, time_step=0)
        failed = done or info["is_illegal"] or info["is_ambiguous"] or info["exception"]
        return np.inf if failed else float(after.rho.max())

    def _episode(self, survived: int) -> tuple[int, int, int, int]:
        scenario = self._scenario
        return scenario.chronic, scenario.start, scenario.length, survived

    def _read(self, obs: Any, row: Float32) -> None:
        arrays = [getattr(obs, name) for name in self._fields]
        np.concatenate(arrays, out=row[: self._arrays_end], casting="unsafe")
        row[self._arrays_end :] = (
            60 * obs.hour_of_day + obs.minute_of_hour, obs.day_of_week, self._steps,
        )  # fmt: skip


class LocalCopies:
    """Copies that are all in this process.

    Args:
        env: the environment of the first copy.
        system: its constants.
        options: in force.
        streams: for every copy the number of its stream of scenarios.
        n_streams: of the whole grid.
        seed: of all streams.
    """

    def __init__(
        self, env: Any, system: System, options: Options, streams: Sequence[int], n_streams: int, seed: int
    ) -> None:
        layout = Layout(system)
        self._width, self._n_streams, self._seed = layout.width, n_streams, seed
        span = env.chronics_handler.real_data.span
        scenarios = Scenarios(options, system.chronics, span, system.dt_s)
        with quiet():
            envs = [env, *(env.copy() for _ in streams[1:])]
        self._copies = [
            Copy(own, layout, scenarios, options, stream) for own, stream in zip(envs, streams, strict=True)
        ]
        for one in self._copies:
            one.seed(seed, n_streams)

    def reset(self, seed: int | None) -> Tick:
        """Start new episodes; a seed restarts the random streams."""
        now = np.zeros((len(self._copies), self._width), np.float32)
        with quiet():
            if seed is not None:
                for one in self._copies:
                    one.seed(seed, self._n_streams)
            results = [one.reset(row) for one, row in zip(self._copies, now, strict=True)]
        return as_tick(now, now, results)

    def step(self, commands: Sequence[Command]) -> Tick:
        """Advance every copy by its command, and start a new episode where one ended."""
        now = np.empty((len(self._copies), self._width), np.float32)
        last = np.empty_like(now)
        with quiet():
            results = [
                one.step(command, now[i], last[i])
                for i, (one, command) in enumerate(zip(self._copies, commands, strict=True))
            ]
        return as_tick(now, last, results)

    def look_ahead(self, tries: Sequence[Sequence[Command]]) -> list[Float64]:
        """Return for every copy (n,): the largest rho forecast one step after each of its n commands."""
        with quiet():
            return [one.look_ahead(commands) for one, commands in zip(self._copies, tries, strict=True)]

    def close(self) -> None:
        """Close all environments; safe to call twice."""
        while self._copies:
            self._copies.pop().close()


def as_tick(now: Float32, last: Float32, results: Sequence[_Result]) -> Tick:
    """Gather the copies' results into arrays over the copies."""

    def flags(name: str) -> Any:
        return np.array([getattr(result, name) for result in results], dtype=bool)

    episode: Int = np.array([result.episode for result in results], dtype=np.int64)
    not_served = np.array([result.not_served for result in results])
    return Tick(now, last, flags("terminated"), flags("truncated"), flags("refused"), flags("attacked"),
                episode, not_served)  # fmt: skip
