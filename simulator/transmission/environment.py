"""The one place where grid2op environments are made, with lightsim2grid and explicit rules."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from simulator.errors import UnknownGridError
from simulator.transmission.options import Options
from simulator.transmission.types import Int, System

_PARAMETERS = {
    "cooldown_substation": "NB_TIMESTEP_COOLDOWN_SUB",
    "cooldown_line": "NB_TIMESTEP_COOLDOWN_LINE",
    "reconnection": "NB_TIMESTEP_RECONNECTION",
    "overflow_allowed": "NB_TIMESTEP_OVERFLOW_ALLOWED",
    "max_substations_changed": "MAX_SUB_CHANGED",
    "max_lines_changed": "MAX_LINE_STATUS_CHANGED",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of grid2op and lightsim2grid inside the block only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make_environment(name: str, options: Options) -> Any:
    """Return a grid2op environment that has been reset to the first step of its first chronic.

    Args:
        name: of a bundled (`options.test`) or downloaded environment.
        options: rules, opponent and data.

    Raises:
        UnknownGridError: there is no such environment, or it is a mix of several.
    """
    with quiet():
        import grid2op
        from grid2op.Action import PlayableAction
        from grid2op.Opponent import BaseOpponent, NeverAttackBudget
        from grid2op.Reward import ConstantReward
        from lightsim2grid import LightSimBackend

        from simulator.transmission.chronics import ForecastChronics, SharedChronics

        _check_name(name, options)
        settings: dict[str, Any] = {}
        if not options.opponent:
            settings = {"opponent_class": BaseOpponent, "opponent_budget_class": NeverAttackBudget,
                        "opponent_init_budget": 0.0, "opponent_budget_per_ts": 0.0}  # fmt: skip
        try:
            env = grid2op.make(
                name, test=options.test, backend=LightSimBackend(), action_class=PlayableAction,
                reward_class=ConstantReward,
                chronics_class=ForecastChronics if options.forecasts else SharedChronics, **settings,
            )  # fmt: skip
        except Exception as error:
            msg = f"grid 'grid2op:{name}': grid2op cannot make it ({error}); {_advice(options)}"
            raise UnknownGridError(msg) from error
        _check_single(env, name)
        _set_rules(env, options)
        if not options.forecasts:
            env.deactivate_forecast()
        env.set_id(0)
        env.reset()
    return env


def bundled() -> tuple[str, ...]:
    """Return the names of the environments that ship with grid2op."""
    from grid2op.MakeEnv import list_available_test_env

    return tuple(sorted(list_available_test_env()))


def _check_name(name: str, options: Options) -> None:
    if options.test and name not in bundled():
        msg = f"grid 'grid2op:{name}': no such environment; {_advice(options)}"
        raise UnknownGridError(msg)


def _check_single(env: Any, name: str) -> None:
    if hasattr(env, "mix_envs"):
        mixes = ", ".join(sorted(env.keys()))
        msg = f"grid 'grid2op:{name}': is a mix of environments ({mixes}), expected a single one"
        raise UnknownGridError(msg)


def _advice(options: Options) -> str:
    known = ", ".join(bundled())
    return f"bundled with grid2op are {known}" + (
        "; test=False uses a data set that was downloaded with grid2op.make"
        if options.test
        else " (test=True)"
    )


def _set_rules(env: Any, options: Options) -> None:
    parameters = env.parameters
    for option, parameter in _PARAMETERS.items():
        value = getattr(options, option)
        if value is not None:
            setattr(parameters, parameter, value)
    parameters.LIMIT_INFEASIBLE_CURTAILMENT_STORAGE_ACTION = options.limit_infeasible
    parameters.ALLOW_DISPATCH_GEN_SWITCH_OFF = True
    env.change_parameters(parameters)
    env.change_forecast_parameters(parameters)


def describe(env: Any, name: str) -> System:
    """Return the constants of an environment that has just been reset (its state gives the scales)."""
    obs = env.get_obs()
    sub_kv, generators, load = _sub_kv(env, obs), _generators(env), np.abs(obs.load_p)
    limit_a = np.minimum(env.get_thermal_limit(), 1e5)
    line_mw = np.sqrt(3.0) * sub_kv[env.line_or_to_subid] * limit_a / 1e3
    chronics = env.chronics_handler.real_data.subpaths
    return System(
        name=name,
        dt_s=float(env.delta_time_seconds),
        chronics=tuple(str(path).replace("\\", "/").rsplit("/", 1)[-1] for path in chronics),
        n_busbar=int(env.n_busbar_per_sub),
        substations=_names(env.name_sub), lines=_names(env.name_line), generators=_names(env.name_gen),
        loads=_names(env.name_load), storages=_names(env.name_storage),
        line_or_sub=_ints(env.line_or_to_subid), line_ex_sub=_ints(env.line_ex_to_subid),
        gen_sub=_ints(env.gen_to_subid), load_sub=_ints(env.load_to_subid),
        storage_sub=_ints(env.storage_to_subid),
        line_or_pos=_ints(env.line_or_pos_topo_vect), line_ex_pos=_ints(env.line_ex_pos_topo_vect),
        gen_pos=_ints(env.gen_pos_topo_vect), load_pos=_ints(env.load_pos_topo_vect),
        storage_pos=_ints(env.storage_pos_topo_vect),
        **generators,
        storage_emax=_floats(env.storage_Emax, env.n_storage),
        storage_absorb=_floats(env.storage_max_p_absorb, env.n_storage),
        storage_produce=_floats(env.storage_max_p_prod, env.n_storage),
        sub_kv=sub_kv.astype(np.float32),
        line_mw=np.maximum(line_mw, 1.0).astype(np.float32),
        load_mw=np.maximum(load, 0.25 * load.mean()).astype(np.float32),
        gen_mvar=np.maximum(np.abs(obs.gen_q), generators["gen_pmax"]).astype(np.float32),
        max_subs=int(env.parameters.MAX_SUB_CHANGED),
        max_lines=int(env.parameters.MAX_LINE_STATUS_CHANGED),
    )  # fmt: skip


def _generators(env: Any) -> dict[str, Any]:
    n_gen = env.n_gen
    if not env.redispatching_unit_commitment_availble:
        no, nil = np.zeros(n_gen, bool), np.zeros(n_gen, np.float32)
        scale = np.maximum(np.abs(env.get_obs().gen_p), 1.0).astype(np.float32)
        return {"redispatchable": no, "renewable": no, "gen_pmax": scale, "gen_span": scale,
                "ramp_up": nil, "ramp_down": nil, "price": 1.0}  # fmt: skip
    return {
        "redispatchable": np.array(env.gen_redispatchable, bool),
        "renewable": np.array(env.gen_renewable, bool),
        "gen_pmax": np.maximum(_floats(env.gen_pmax, n_gen), 1.0),
        "gen_span": _floats(env.gen_pmax - env.gen_pmin, n_gen),
        "ramp_up": _floats(env.gen_max_ramp_up, n_gen),
        "ramp_down": _floats(env.gen_max_ramp_down, n_gen),
        "price": float(np.max(env.gen_cost_per_MW, initial=0.0)) or 1.0,
    }


def _sub_kv(env: Any, obs: Any) -> np.ndarray[Any, Any]:
    out = np.zeros(env.n_sub)
    for sub, kv in (
        (env.line_or_to_subid, obs.v_or), (env.line_ex_to_subid, obs.v_ex),
        (env.gen_to_subid, obs.gen_v), (env.load_to_subid, obs.load_v),
    ):  # fmt: skip
        np.maximum.at(out, sub, kv)
    return np.where(out > 0.0, out, 1.0)


def _ints(values: Any) -> Int:
    return np.array(values, dtype=np.int64)


def _floats(values: Any, n: int) -> np.ndarray[Any, Any]:
    return np.zeros(n, np.float32) if values is None else np.array(values, dtype=np.float32).reshape(n)


def _names(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
