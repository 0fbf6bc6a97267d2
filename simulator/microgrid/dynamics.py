"""Start and advance E copies of a microgrid (kernel.py has the method, docs/microgrid.md the equations)."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import ArrayLike

from simulator.errors import ActionError
from simulator.microgrid.kernel import GAMMA, factorize, tick
from simulator.microgrid.types import Bool, Control, Fidelity, Float, Int, State, System

STEP_S = {Fidelity.PHASOR: 5e-3, Fidelity.STANDARD: 1e-3, Fidelity.FULL: 0.25e-3}


def init(system: System, n_envs: int) -> State:
    """Return E copies at the moment at which all DGs are switched on: no current flows yet."""
    shape = (n_envs, system.n_dg)
    return State(
        delta=np.zeros(shape),
        p=np.zeros(shape),
        q=np.zeros(shape),
        omega_set=np.full(shape, system.control.omega_ref),
        current=np.zeros((n_envs, len(system.r)), np.complex128),
        v_bus=np.zeros((n_envs, system.n_bus), np.complex128),
    )


def step(
    system: System,
    state: State,
    v_setpoint: ArrayLike,
    load_r_scale: ArrayLike,
    load_l_scale: ArrayLike,
    dt_s: float = 0.05,
    secondary: bool = True,
    fidelity: Fidelity | str = Fidelity.STANDARD,
) -> State:
    """Return the state dt_s later, with setpoints and loads constant on the way.

    Args:
        system: the microgrid.
        state: E copies; not changed.
        v_setpoint: (E, n_dg) V, voltage of each DG before droop.
        load_r_scale: (E, n_load) > 0, times the resistance of each load.
        load_l_scale: (E, n_load) > 0, times its inductance.
        dt_s: > 0.
        secondary: whether the consensus moves the frequency setpoints; otherwise they stay.
        fidelity: "phasor", "standard" or "full".

    Returns:
        The new State; a copy whose solution failed has NaN in it.

    Raises:
        ActionError: a shape is wrong, a setpoint is not finite, a scale is not positive, or dt_s is not.
    """
    v_set = _checked(system, "v_setpoint", v_setpoint, (state.n_envs, system.n_dg))
    scales = [
        _checked(system, name, scale, (state.n_envs, system.n_load), positive=True)
        for name, scale in (("load_r_scale", load_r_scale), ("load_l_scale", load_l_scale))
    ]
    if not dt_s > 0:
        msg = f"microgrid '{system.name}': dt_s is {dt_s}, expected a time > 0"
        raise ActionError(msg)
    level = Fidelity(fidelity)
    n_step = max(1, int(np.ceil(dt_s / STEP_S[level] - 1e-9)))
    h = dt_s / n_step
    after = rows(state, slice(None))
    tick(
        system.network, system.control, consensus_factors(system.control, h), v_set,
        _with_loads(system.r, system.load_r * scales[0]), _with_loads(system.l, system.load_l * scales[1]),
        0.0 if level is Fidelity.PHASOR else 1.0, n_step, h, secondary,
        after.delta, after.p, after.q, after.omega_set, after.current, after.v_bus,
    )  # fmt: skip
    return after


def bus_voltage(system: System, state: State) -> Float:
    """Return (E, n_bus): magnitudes of the bus voltages in pu, in the order of `system.bus_names`."""
    return np.abs(state.v_bus) / system.v_nom


def rows(state: State, copies: Int | Bool | slice) -> State:
    """Return some copies on their own; nothing is shared with `state`."""
    return State(**{f.name: np.array(getattr(state, f.name)[copies]) for f in fields(State)})


def put_rows(state: State, copies: Int | Bool, other: State) -> State:
    """Return `state` with some copies replaced by those of `other`, in order."""
    new = rows(state, slice(None))
    for f in fields(State):
        getattr(new, f.name)[copies] = getattr(other, f.name)
    return new


def consensus_factors(control: Control, h: float) -> Float:
    """Return the factors of 1 + GAMMA h a (Lap + G), which every implicit stage of h seconds solves with."""
    matrix = GAMMA * h * control.consensus
    matrix[: len(control.order)] += 1.0
    factorize(matrix, control.elimination)
    return matrix


def _with_loads(branches: Float, loads: Float) -> Float:
    """Return (E, n_branch): the branch values with the loads added to their feeders, the last branches."""
    n_load = loads.shape[1]
    values = np.repeat(branches[None], len(loads), axis=0)
    values[:, -n_load:] += loads
    return values


def _checked(
    system: System, name: str, values: ArrayLike, shape: tuple[int, int], positive: bool = False
) -> Float:
    array = np.ascontiguousarray(values, np.float64)
    if array.shape != shape:
        msg = f"microgrid '{system.name}': {name} has shape {array.shape}, expected {shape} (copies first)"
        raise ActionError(msg)
    fits = np.isfinite(array) & ((array > 0) | (not positive))
    if not fits.all():
        e, k = np.argwhere(~fits)[0]
        got = f"{name} is {array[e, k]} in copy {e}, column {k}"
        expected = "a number > 0" if positive else "a finite number of volts"
        msg = f"microgrid '{system.name}': {got}, expected {expected}"
        raise ActionError(msg)
    return array
