"""The physics of the 68-bus grid: start at the schedule, advance, read bus frequencies.

Machines behind x'd on the reduced network, swing equations, governors, load damping, frequency
divider; docs/frequency68.md has the equations. Nothing here knows agents, disturbances or rewards.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from simulator.frequency.kernel import sine_power, sine_swing
from simulator.frequency.modes import Mode, modes
from simulator.frequency.network import topology
from simulator.frequency.propagator import propagator
from simulator.frequency.types import Float, Flow, Index, State, System

__all__ = ["Mode", "advance", "bus_frequency", "electrical_power", "init", "modes", "step"]


def init(system: System, n_envs: int) -> State:
    """Return E copies at rest on the schedule."""
    m = system.n_machine
    return State(
        delta=np.zeros((n_envs, m)),
        omega=np.zeros((n_envs, m)),
        governor=np.zeros((n_envs, len(system.governed))),
        branch_out=np.full(n_envs, -1, dtype=np.int64),
    )


def step(
    system: System, state: State, p_bus_mw: Float, dt_s: float, p_machine_mw: Float | None = None
) -> State:
    """Advance the physics by `dt_s` with inputs held.

    Args:
        system: constants.
        state: E copies.
        p_bus_mw: (E, n_bus) net change of injection from the schedule, MW (more load is negative).
        dt_s: time to advance, s, > 0. The linear flow takes any time exactly; the sine flow goes in
            steps of at most system.integration_step_s.
        p_machine_mw: (E, n_machine) change of mechanical power from the schedule, MW; None for none.

    Raises:
        ValueError: a shape is wrong, or dt_s is not positive.
    """
    return advance(system, state, p_bus_mw, dt_s, p_machine_mw)[0]


def advance(
    system: System,
    state: State,
    p_bus_mw: Float,
    dt_s: float,
    p_machine_mw: Float | None = None,
    n_instants: int = 1,
) -> tuple[State, Float]:
    """Advance like `step`; also return the speeds at `n_instants` equal instants on the way.

    Returns:
        The new state, and (E, n_instants, n_machine) speeds in pu, the last being those of the state.
    """
    _check(system, state, p_bus_mw, dt_s, n_instants)
    power = _accelerating(system, state.branch_out, p_bus_mw, p_machine_mw)
    run = _linear if system.flow == Flow.LINEAR else _sine
    return run(system, state, power, dt_s, n_instants)


def bus_speed(system: System, branch_out: Index, omega: Float) -> Float:
    """Return (E, ..., n_bus): speeds of the buses in pu, by the frequency divider.

    Args:
        system: constants.
        branch_out: (E,) open branch, -1 for none.
        omega: (E, ..., n_machine) speeds of the machines, pu.
    """
    speed: Float = omega @ topology(system).divider.T
    for e in np.flatnonzero(branch_out >= 0):
        speed[e] = omega[e] @ topology(system, int(branch_out[e])).divider.T
    return speed


def bus_frequency(system: System, state: State) -> Float:
    """Return (E, n_bus): frequency of every bus, Hz (Milano and Ortega 2017, eq. 18)."""
    return system.nominal_hz * (1.0 + bus_speed(system, state.branch_out, state.omega))


def electrical_power(system: System, state: State, p_bus_mw: Float) -> Float:
    """Return (E, n_machine): electrical power of the machines beyond the schedule, MW.

    It is the flow between the machines less what injections bring to them; in sum minus the sum of
    the injections, as the network has no losses.
    """
    taken = _accelerating(system, state.branch_out, p_bus_mw, None)
    flow = np.empty_like(state.delta)
    for e, without in enumerate(state.branch_out):
        reduced = topology(system, int(without)).reduced
        if system.flow == Flow.LINEAR:
            flow[e] = reduced @ state.delta[e]
        else:
            flow[e] = sine_power(reduced, system.delta0 + state.delta[e])
    return system.base_mva * (flow - taken)


def _accelerating(system: System, branch_out: Index, p_bus_mw: Float, p_machine_mw: Float | None) -> Float:
    """Return (E, n_machine) in pu: what accelerates the machines, but for flow, damping and governors."""
    mw = p_bus_mw @ topology(system).divider
    out = np.flatnonzero(branch_out >= 0)
    for e in out:
        mw[e] = p_bus_mw[e] @ topology(system, int(branch_out[e])).divider
    if p_machine_mw is not None:
        mw = mw + p_machine_mw
    power: Float = mw / system.base_mva + topology(system).drive
    for e in out:
        power[e] = mw[e] / system.base_mva + topology(system, int(branch_out[e])).drive
    return power


def _linear(system: System, state: State, power: Float, dt_s: float, n_instants: int) -> tuple[State, Float]:
    m = system.n_machine
    x = np.concatenate([state.delta, state.omega, state.governor, power], axis=1)
    intact = propagator(system, -1, dt_s, n_instants)
    new, path = x @ intact.step, x @ intact.path
    for e in np.flatnonzero(state.branch_out >= 0):  # one by one: no copy may change another's rounding
        own = propagator(system, int(state.branch_out[e]), dt_s, n_instants)
        new[e], path[e] = x[e] @ own.step, x[e] @ own.path
    fresh = State(new[:, :m], new[:, m : 2 * m], new[:, 2 * m :], state.branch_out)
    return fresh, path.reshape(len(x), n_instants, m)


def _sine(system: System, state: State, power: Float, dt_s: float, n_instants: int) -> tuple[State, Float]:
    every = ceil(dt_s / n_instants / system.integration_step_s - 1e-9)
    machines = (
        system.inertia_s, system.damping, system.governed, system.governor_gain, system.governor_time_s,
    )  # fmt: skip
    delta, omega, governor = state.delta.copy(), state.omega.copy(), state.governor.copy()
    path = np.empty((len(delta), n_instants, system.n_machine))
    for without in np.unique(state.branch_out):
        rows = np.flatnonzero(state.branch_out == without)
        part, part_path = (delta[rows], omega[rows], governor[rows]), path[rows]
        sine_swing(
            *part, power[rows], topology(system, int(without)).reduced, system.delta0, machines,
            2.0 * np.pi * system.nominal_hz, dt_s / (every * n_instants), every, part_path,
        )  # fmt: skip
        delta[rows], omega[rows], governor[rows] = part
        path[rows] = part_path
    return State(delta, omega, governor, state.branch_out), path


def _check(system: System, state: State, p_bus_mw: Float, dt_s: float, n_instants: int) -> None:
    expected = (len(state.delta), system.n_bus)
    if np.shape(p_bus_mw) != expected:
        msg = f"frequency dynamics: p_bus_mw has shape {np.shape(p_bus_mw)}, expected {expected} (E, n_bus)"
        raise ValueError(msg)
    if not (dt_s > 0 and n_instants >= 1):
        msg = f"frequency dynamics: dt_s is {dt_s} and n_instants {n_instants}, expected both > 0"
        raise ValueError(msg)
