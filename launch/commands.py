"""The table of commands, and the group that imports each of them only when it is called.

A command is a typer app: `module:app`. To add one, add a line to COMMANDS.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from launch.suggest import did_you_mean

COMMANDS = {
    "launch": (
        "launch.launch_command:app",
        "Bring up an ensemble from a launch file, run it to its end.",
    ),
    "eval": (
        "launch.eval_command:app",
        "Play a run's policies and the baselines on held-out scenarios.",
    ),
    "topic": (
        "launch.introspection.topic:app",
        "See and send messages on topics: list, info, echo, hz, bw, delay, pub.",
    ),
    "node": (
        "launch.introspection.node:app",
        "See the nodes of an ensemble: list, info.",
    ),
    "service": (
        "launch.introspection.service:app",
        "See and call services: list, type, call.",
    ),
    "param": (
        "launch.introspection.param:app",
        "Read and change parameters of running nodes: list, get, set, dump.",
    ),
    "doctor": (
        "launch.introspection.doctor:app",
        "Check broker, versions, nodes, ticks, lost messages and clocks.",
    ),
    "top": (
        "launch.introspection.top:app",
        "Show the nodes at work: state, tick, rate, lag, lost, CPU, memory.",
    ),
    "bag": (
        "launch.bag_command:app",
        "Record, play, check and convert what travels on the bus.",
    ),
    "factorize": (
        "launch.factorize_command:app",
        "Measure who informs about whom, and write a partition into clusters.",
    ),
}


class LazyGroup(TyperGroup):
    """A group that shows its commands' help without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 typer calls it so
        """Return the commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 typer calls it so
        """Return a stand-in that only knows its line of help."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called."""
        name = args[0]
        if name not in COMMANDS:
            ctx.fail(f"No such command {name!r}, {did_you_mean(name, COMMANDS)}")
        module, _, attribute = COMMANDS[name][0].partition(":")
        return name, typer.main.get_command(getattr(import_module(module), attribute)), args[1:]


chorus = typer.Typer(
    cls=LazyGroup,
    name="chorus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@chorus.callback()
def describe() -> None:
    """Decentralized reinforcement-learning agents for power grids, over ROS-style messages.

    Each command has its own help: chorus launch --help
    """
