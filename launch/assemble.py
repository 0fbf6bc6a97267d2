"""From a checked launch file to the program that runs: names, seeds and settings of every node."""

from __future__ import annotations

import re
from typing import Any

from launch import bags, nodes
from launch.program import Kind, Node, Program
from launch.run_folder import RunFolder
from launch.seeds import Role, seed_of
from launch.spec import AgentSpec, LaunchSpec, Section

_TRAILING_NUMBER = re.compile(r"[_-]?\d+$")


def assemble(spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, address: str) -> Program:
    """Return the program of a launch file."""
    parts = [_broker(spec, address)]
    if spec.record:
        parts.append(bags.recorder(spec, folder, address))
    parts += [_extra(spec, name) for name in spec.nodes]
    parts.append(_simulator(spec, agents, folder, address))
    parts += _critic(spec, agents, folder, address)
    parts += [_agent(spec, agents, index, folder, address) for index in range(len(agents))]
    if spec.player is not None:
        parts = bags.with_player(parts, spec, spec.player, folder, address)
    return Program(
        name=spec.name,
        address=address,
        nodes=tuple(parts),
        n_steps=spec.agents.n_steps,
        total_ticks=spec.agents.n_steps * spec.agents.updates,
        ready_timeout_s=spec.ready_timeout_s,
    )


def _broker(spec: LaunchSpec, address: str) -> Node:
    return Node(
        name=nodes.BROKER,
        kind=Kind.BROKER,
        module=nodes.MODULES[Kind.BROKER],
        arguments=nodes.broker_arguments(address),
        restart=spec.broker.restart.policy(),
        external=spec.broker.external,
    )


def _extra(spec: LaunchSpec, name: str) -> Node:
    extra = spec.nodes[name]
    return Node(
        name=name,
        kind=Kind.EXTRA,
        module=extra.module,
        arguments=tuple(extra.arguments),
        restart=extra.restart.policy(),
        gated=False,
    )


def _simulator(spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, address: str) -> Node:
    wanted = spec.simulator
    config: dict[str, Any] = {
        "grid": wanted.grid,
        "n_envs": wanted.n_envs,
        "seed": seed_of(spec.seed, Role.SIMULATOR),
        "options": wanted.options,
        "scada": wanted.scada.settings() if wanted.scada else None,
        "smoothing": wanted.smoothing,
        "copies_per_scenario": wanted.copies_per_scenario,
        "mode": wanted.mode,
        "deadline_s": wanted.deadline_s,
        "start_deadline_s": wanted.start_deadline_s,
        "on_missing": wanted.on_missing,
        "period_s": wanted.period_s,
        "wait_for": [nodes.RECORDER] if spec.record else [],
        "lifespan_ticks": wanted.lifespan_ticks,
        "companions": [name for name in agents if _accompanies(spec, agents, name)],
        "run_dir": str(folder.path),
    }
    return Node(
        name=nodes.SIMULATOR,
        kind=Kind.SIMULATOR,
        module=nodes.MODULES[Kind.SIMULATOR],
        arguments=nodes.node_arguments(nodes.SIMULATOR, address, folder.settings(nodes.SIMULATOR)),
        restart=wanted.restart.policy(),
        config=config,
        external=wanted.external,
    )


def _critic(spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, address: str) -> list[Node]:
    learners = [name for name in agents if _learns(spec, name)]
    if spec.critic.mode != "centralized" or not learners:
        return []
    config = {
        "settings": _critic_settings(spec),
        "agents": learners,
        "n_steps": spec.agents.n_steps,
        "updates": spec.agents.updates,
        "models_dir": str(folder.models),
        "tensorboard_dir": str(folder.tensorboard),
        "load": spec.agents.load,
        "run_dir": str(folder.path),
    }
    node = Node(
        name=nodes.CRITIC,
        kind=Kind.CRITIC,
        module=nodes.MODULES[Kind.CRITIC],
        arguments=nodes.node_arguments(nodes.CRITIC, address, folder.settings(nodes.CRITIC)),
        restart=spec.critic.restart.policy(),
        config=config,
        external=spec.critic.external,
        forked=True,
    )
    return [node]


def _critic_settings(spec: LaunchSpec) -> dict[str, Any]:
    settings = spec.critic.model_dump(exclude={"mode", "external", "restart"})
    return {**settings, "seed": seed_of(spec.seed, Role.CRITIC)}


def _learns(spec: LaunchSpec, name: str) -> bool:
    own = spec.agents.overrides.get(name, AgentSpec())
    return spec.agents.mode == "train" and (own.baseline or spec.agents.baseline) is None


def _accompanies(spec: LaunchSpec, agents: tuple[str, ...], name: str) -> bool:
    """Return whether an agent that does not learn acts beside some that do, until they are done."""
    external = spec.agents.overrides.get(name, AgentSpec()).external
    return not external and not _learns(spec, name) and any(_learns(spec, other) for other in agents)


def _agent(spec: LaunchSpec, agents: tuple[str, ...], index: int, folder: RunFolder, address: str) -> Node:
    name = agents[index]
    every, own = spec.agents, spec.agents.overrides.get(name, AgentSpec())
    accompanies = _accompanies(spec, agents, name)
    config = {
        "mode": every.mode,
        "algorithm": own.algorithm or every.algorithm,
        "policy": own.policy or every.policy,
        "hyperparameters": _laid_over(every.hyperparameters, own.hyperparameters),
        "memory": _laid_over(every.memory, own.memory),
        "corrects": own.corrects or every.corrects,
        "n_steps": every.n_steps,
        "updates": every.updates,
        "seed": seed_of(spec.seed, Role.AGENT, index),
        "weights_seed": _weights_seed(spec, agents, index),
        "baseline": own.baseline or every.baseline,
        "load": own.load or every.load,
        "deterministic": every.deterministic,
        "max_ticks": None if accompanies else every.n_steps * every.updates,
        "critic": {"mode": spec.critic.mode, **_critic_settings(spec)},
        "checkpoint_every": every.checkpoint_every,
        "run_dir": str(folder.path),
    }
    return Node(
        name=name,
        kind=Kind.AGENT,
        module=nodes.MODULES[Kind.AGENT],
        arguments=nodes.node_arguments(name, address, folder.settings(name)),
        restart=(own.restart or every.restart).policy(),
        config=config,
        external=own.external,
        forked=True,
        finite=not accompanies,
    )


def _weights_seed(spec: LaunchSpec, agents: tuple[str, ...], index: int) -> int | None:
    """Return the seed of the first agent of this one's kind: those whose names differ in a number alone."""
    if spec.agents.initial_weights == "own":
        return None
    kinds = [_TRAILING_NUMBER.sub("", name) for name in agents]
    return seed_of(spec.seed, Role.AGENT, kinds.index(kinds[index]))


def _laid_over(every: Section, own: Section) -> dict[str, Any]:
    """Return what is said of all agents, with what is said of one laid over it."""
    return {**every.model_dump(exclude_none=True), **own.model_dump(exclude_none=True)}
