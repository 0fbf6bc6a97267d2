"""`chorus param`: read and change the parameters of running nodes."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
import yaml

from broker.errors import ServiceError
from broker.messages import ParametersRequest
from broker.services import parameters_of
from launch.introspection.errors import QuestionError
from launch.introspection.observer import ANSWER_S, Observer
from launch.introspection.render import as_yaml
from launch.introspection.service import ask
from launch.introspection.session import Broker, look_up, make_app, watching

app = make_app("Read and change parameters of running nodes.")
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Such as critic.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the parameter.")]
_LABELS = {
    bool: "Boolean value is:",
    int: "Integer value is:",
    float: "Double value is:",
    str: "String value is:",
}
_ALL_S = 2.0  # how long each node may take when all are asked


@app.command("list")
def list_parameters(
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="Only this node.", show_default=False)
    ] = None,
    show_types: Annotated[bool, typer.Option("--param-type", help="Show the types too.")] = False,
    broker: Broker = None,
) -> None:
    """List the parameters of one node, or of all."""
    with watching(broker) as bus:
        nodes = bus.nodes()
        silent = False
        for name in nodes if node is None else [node]:
            look_up("node", name, nodes)
            reply = ask(bus, parameters_of(name), ParametersRequest("list"), ANSWER_S if node else _ALL_S)
            if reply is None:
                silent = True
                sys.stderr.write(f"{name}: does not answer; it may be busy learning\n")
                continue
            if node is None:
                typer.echo(f"{name}:")
            for parameter, value in sorted(json.loads(reply.values).items()):
                kind = f" (type: {_kind(value)})" if show_types else ""
                typer.echo(f"  {parameter}{kind}")
        if silent:
            raise typer.Exit(1)


@app.command()
def get(
    node: NodeName,
    name: Name,
    hide_type: Annotated[bool, typer.Option("--hide-type", help="Show the value only.")] = False,
    broker: Broker = None,
) -> None:
    """Show the value of a parameter."""
    with watching(broker) as bus:
        value = look_up(f"parameter of {node}", name, _all(bus, node))
        shown = as_yaml(value, None) if isinstance(value, list | dict) else str(value)
        label = _LABELS.get(type(value), "Value is:")
        typer.echo(shown if hide_type else f"{label} {shown}")


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_parameter(
    node: NodeName,
    name: Name,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="As YAML: 3, 1e-3, true, fast, [1, 2].")],
    broker: Broker = None,
) -> None:
    """Change a parameter; the node may refuse."""
    with watching(broker) as bus:
        current = look_up(f"parameter of {node}", name, _all(bus, node))
        request = ParametersRequest("set", name, json.dumps(_parsed(value, current)))
        try:
            bus.call(parameters_of(node), request)
        except ServiceError as error:
            msg = f"Setting parameter failed: {error}"
            raise QuestionError(msg) from error
        typer.echo("Set parameter successful")


@app.command()
def dump(node: NodeName, broker: Broker = None) -> None:
    """Show all parameters of a node as YAML."""
    with watching(broker) as bus:
        typer.echo(yaml.safe_dump({node: {"parameters": _all(bus, node)}}, default_flow_style=False).rstrip())


def _all(bus: Observer, node: str) -> dict[str, Any]:
    look_up("node", node, bus.nodes())
    reply = bus.call(parameters_of(node), ParametersRequest("list"))
    values: dict[str, Any] = json.loads(reply.values)
    return values


def _parsed(text: str, current: Any) -> Any:
    """Read a value; what is written like a number is one where a number is, also 1e-3."""
    if isinstance(current, str):
        return text
    try:
        if isinstance(current, float) and not isinstance(yaml.safe_load(text), bool):
            return float(text)
        value = yaml.safe_load(text)
        json.dumps(value)
    except (yaml.YAMLError, ValueError, TypeError):
        msg = f"value {text!r}: expected one like {current!r}"
        raise QuestionError(msg) from None
    return value


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "double", str: "string", list: "array"}
    return kinds.get(type(value), type(value).__name__)
