"""Sample what single topology actions do: the loading of all lines after one random action.

Start states are drawn from all over the data: a random day and step, followed for a few steps with
nothing done. In each of them one random unitary topology action per substation is tried in the
environment's own one-step simulation; nothing that is tried there changes the trajectory, so that no
sample is lost to an episode that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.errors import CaseError, UnknownGridError
from simulator.transmission.environment import bundled, quiet

Int64 = NDArray[np.int64]
Float = NDArray[np.float64]

MORE_THAN_ELEMENTS = 3  # a substation with at most three elements has no useful second bus
_STATES_PER_START = 10
_STATES_PER_CHUNK = 250
_TRIES = 100  # until an action is found that the grid survives


@dataclass(frozen=True)
class GridMap:
    """Where everything of a transmission grid is."""

    name: str
    n_substations: int
    line_ends: Int64  # (n_line, 2) substations
    reactance: Float  # (n_line,) pu
    generator_substation: Int64  # (n_generator,)
    load_substation: Int64  # (n_load,)
    storage_substation: Int64  # (n_storage,)
    layout: Float  # (n_substations, 2) for drawing
    controllable: Int64  # substations with more than three elements
    n_actions: Int64  # of each controllable substation


@dataclass(frozen=True)
class TopologySamples:
    """N samples for each of the controllable substations."""

    controllable: Int64  # (n,) substations
    action: Int64  # (n, N) number of the unitary action that was taken there
    rho: NDArray[np.float32]  # (n, n_line, N) loading of the lines after it


def grid_map(name: str, test: bool = True) -> GridMap:
    """Return the map of a grid2op environment.

    Raises:
        UnknownGridError: grid2op has no such environment.
        CaseError: no substation has more than three elements, so there is nothing to choose.
    """
    env = _make(name, test)
    branches = [*env.backend._grid.get_lines(), *env.backend._grid.get_trafos()]  # noqa: SLF001
    layout = env.grid_layout or {}
    actions = _actions(env)
    return GridMap(
        name=name,
        n_substations=int(env.n_sub),
        line_ends=np.stack([env.line_or_to_subid, env.line_ex_to_subid], axis=1).astype(np.int64),
        reactance=np.maximum(np.abs([branch.x_pu for branch in branches]), 1e-6),
        generator_substation=np.asarray(env.gen_to_subid, np.int64),
        load_substation=np.asarray(env.load_to_subid, np.int64),
        storage_substation=np.asarray(env.storage_to_subid, np.int64),
        layout=np.array([layout.get(sub, (np.nan, np.nan)) for sub in env.name_sub], np.float64),
        controllable=np.array(list(actions), np.int64),
        n_actions=np.array([len(some) for some in actions.values()], np.int64),
    )


def collect(
    name: str,
    n_samples: int,
    seed: int,
    test: bool = True,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> TopologySamples:
    """Return n_samples samples for each controllable substation, the same for any number of workers.

    Args:
        name: of the grid2op environment.
        n_samples: start states, and so samples of every substation.
        seed: of start states and actions.
        test: use the data bundled with grid2op.
        workers: processes; 0 collects in this one.
        progress: called with (start states done, start states in all).

    Raises:
        UnknownGridError: grid2op has no such environment.
        CaseError: nothing to choose, or no action that the grid survives.
    """
    controllable = grid_map(name, test).controllable
    sizes = [min(_STATES_PER_CHUNK, n_samples - i) for i in range(0, n_samples, _STATES_PER_CHUNK)]
    parts: list[tuple[Int64, NDArray[np.float32]] | None] = [None] * len(sizes)
    done = 0
    for number, part in _chunks(name, test, seed, sizes, workers):
        parts[number] = part
        done += sizes[number]
        if progress is not None:
            progress(done, n_samples)
    whole = [part for part in parts if part is not None]
    action = np.concatenate([some for some, _ in whole], axis=1)
    rho = np.concatenate([some for _, some in whole], axis=2)
    return TopologySamples(controllable, action, rho)


def _chunks(
    name: str, test: bool, seed: int, sizes: list[int], workers: int
) -> Iterator[tuple[int, tuple[Int64, NDArray[np.float32]]]]:
    if workers == 0:
        sampler = _Sampler(name, test)
        for number, size in enumerate(sizes):
            yield number, sampler.collect(size, seed, number)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (name, test)) as pool:
        running = {pool.submit(_work, size, seed, number): number for number, size in enumerate(sizes)}
        for finished in as_completed(running):
            yield running[finished], finished.result()


_sampler: _Sampler | None = None  # of a worker process


def _start_worker(name: str, test: bool) -> None:
    global _sampler
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _sampler = _Sampler(name, test)


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(size: int, seed: int, number: int) -> tuple[Int64, NDArray[np.float32]]:
    assert _sampler is not None
    return _sampler.collect(size, seed, number)


class _Sampler:
    """One environment and its actions."""

    def __init__(self, name: str, test: bool) -> None:
        self._name = name
        self._env = _make(name, test)
        self._actions = list(_actions(self._env).values())
        self._idle = self._env.action_space()
        self._ahead = self._forecast_steps()

    def collect(self, n_states: int, seed: int, number: int) -> tuple[Int64, NDArray[np.float32]]:
        """Return the actions (n, n_states) and the loadings (n, n_line, n_states) of one chunk."""
        rng = np.random.default_rng([seed, number])
        action = np.zeros((len(self._actions), n_states), np.int64)
        rho = np.zeros((len(self._actions), self._env.n_line, n_states), np.float32)
        with quiet():
            for state, obs in zip(range(n_states), self._states(rng), strict=False):
                for i in range(len(self._actions)):
                    action[i, state], rho[i, :, state] = self._try(obs, i, rng)
        return action, rho

    def _states(self, rng: np.random.Generator) -> Iterator[Any]:
        """Yield observations from many start states, without end."""
        chronics = len(self._env.chronics_handler.subpaths)
        while True:
            self._env.seed(int(rng.integers(2**31)))
            rng.integers(chronics)  # used for nothing: the shipped partitions were sampled with it
            chronic = int(rng.integers(chronics))
            obs = self._env.reset(options={"time serie id": chronic})
            last = max(1, int(obs.max_step) - _STATES_PER_START - 1)
            start = int(rng.integers(1, last + 1))
            obs = self._env.reset(options={"time serie id": chronic, "init ts": start})
            for _ in range(_STATES_PER_START):
                yield obs
                obs, _, done, _ = self._env.step(self._idle)
                if done:
                    break

    def _try(self, obs: Any, substation: int, rng: np.random.Generator) -> tuple[int, NDArray[np.float32]]:
        choices = self._actions[substation]
        for _ in range(_TRIES):
            number = int(rng.integers(len(choices)))
            after, _, done, info = obs.simulate(choices[number], time_step=self._ahead)
            if not done and not info["exception"] and np.isfinite(after.rho).all():
                return number, after.rho
        msg = f"grid 'grid2op:{self._name}': {_TRIES} random actions in a row ended the episode"
        raise CaseError(msg)

    def _forecast_steps(self) -> int:
        """Return 1 where the environment forecasts its next injections, else 0: the present ones."""
        from grid2op.Exceptions import Grid2OpException

        with quiet():
            try:
                self._env.reset().simulate(self._idle, time_step=1)
            except Grid2OpException:
                return 0
        return 1


def _make(name: str, test: bool) -> Any:
    if test and name not in bundled():
        msg = f"grid 'grid2op:{name}': no such environment; bundled with grid2op are {', '.join(bundled())}"
        raise UnknownGridError(msg)
    with quiet():
        import grid2op
        from grid2op.Action import TopologyAndDispatchAction
        from grid2op.Chronics import MultifolderWithCache
        from lightsim2grid import LightSimBackend

        try:
            env = grid2op.make(
                name, test=test, backend=LightSimBackend(), action_class=TopologyAndDispatchAction,
                chronics_class=MultifolderWithCache,
            )  # fmt: skip
        except Exception as error:
            msg = f"grid 'grid2op:{name}': grid2op cannot make it ({error})"
            raise UnknownGridError(msg) from error
        env.chronics_handler.real_data.set_filter(lambda _: True)
        env.chronics_handler.reset()
        parameters = env.parameters
        parameters.NO_OVERFLOW_DISCONNECTION = True  # a trajectory is to last, whatever its loading
        parameters.NB_TIMESTEP_COOLDOWN_SUB = parameters.NB_TIMESTEP_COOLDOWN_LINE = 0
        env.change_parameters(parameters)
        env.change_forecast_parameters(parameters)
        env.reset()
    return env


def _actions(env: Any) -> dict[int, list[Any]]:
    """Return the unitary topology actions of every substation where there is a choice."""
    space = env.action_space
    actions = {
        int(sub): list(space.get_all_unitary_topologies_set(space, sub_id=int(sub)))
        for sub in np.flatnonzero(env.sub_info > MORE_THAN_ELEMENTS)
    }
    actions = {sub: some for sub, some in actions.items() if len(some) > 1}
    if not actions:
        msg = (
            f"grid 'grid2op:{env.env_name}': no substation has more than {MORE_THAN_ELEMENTS} elements, so "
            "there is no topology action to sample; choose another environment"
        )
        raise CaseError(msg)
    return actions
