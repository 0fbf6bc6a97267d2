"""The names of an ensemble: the grid says who its agents are, and the launch file must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import simulator
from launch import nodes
from launch.errors import Fault, LaunchFileError
from launch.spec import AgentSpec, LaunchSpec
from launch.suggest import did_you_mean
from launch.validate import fault_at
from launch.yaml_tree import Entry
from simulator.errors import SimulatorError, UnknownGridError

_GRID = ("simulator", "grid")


def agents_of(root: Entry, spec: LaunchSpec) -> tuple[str, ...]:
    """Return the names of the grid's agents, and check that the launch file agrees with them.

    Raises:
        LaunchFileError: no such grid, a wrong option, a name used twice, or settings for an unknown agent.
    """
    try:
        agents = simulator.agent_names(spec.simulator.grid, **spec.simulator.options)
    except UnknownGridError as error:
        raise LaunchFileError([fault_at(root, _GRID, str(error))]) from error
    except SimulatorError as error:
        raise LaunchFileError([fault_at(root, ("simulator", "options"), str(error))]) from error
    faults = list(check_names(root, spec, agents))
    if faults:
        raise LaunchFileError(faults)
    return agents


def check_names(root: Entry, spec: LaunchSpec, agents: tuple[str, ...]) -> Iterator[Fault]:
    """Yield what is wrong with the names of agents and nodes."""
    for name, count in Counter(agents).items():
        if count > 1:
            text = f"the grid names {count} agents '{name}'; every agent needs a name of its own"
            yield fault_at(root, _GRID, text)
        if name in nodes.RESERVED:
            yield fault_at(root, _GRID, f"the grid names an agent '{name}', which is another node's name")
    for name in spec.nodes:
        if name in agents or name in nodes.RESERVED:
            text = "the name is used twice: another node of the ensemble has it; choose another"
            yield fault_at(root, ("nodes", name), text)
    idle = [name for name in agents if not _has_work(spec, name)]
    if idle:
        text = f"is 'act', but {', '.join(idle)} has nothing to act by; give a load or a baseline"
        yield fault_at(root, ("agents", "mode"), text)
    scada = spec.simulator.scada
    mentioned = [("agents", "overrides", name) for name in spec.agents.overrides]
    links = [("simulator", "scada", "agents", name) for name in (scada.agents if scada else {})]
    for place in (*mentioned, *links):
        if place[-1] not in agents:
            text = f"the grid has no agent of this name, {did_you_mean(place[-1], agents)}"
            yield fault_at(root, place, text)


def _has_work(spec: LaunchSpec, name: str) -> bool:
    own = spec.agents.overrides.get(name, AgentSpec())
    given = (own.load, own.baseline, spec.agents.load, spec.agents.baseline)
    return spec.agents.mode == "train" or own.external or any(given)
