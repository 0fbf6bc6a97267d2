"""`chorus service`: which services there are, and calling them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from broker.errors import RequestTimeoutError, ServiceUnavailableError
from broker.schema import BY_NAME
from broker.services import Service
from launch.introspection.build import message_from, schema_named
from launch.introspection.errors import QuestionError
from launch.introspection.node import types_of
from launch.introspection.observer import ANSWER_S, Observer
from launch.introspection.render import as_yaml, values_of
from launch.introspection.session import Broker, look_up, make_app, watching

app = make_app("See and call services.")
Name = Annotated[str, typer.Argument(metavar="SERVICE", help="Such as /simulator/control.")]


@app.command("list")
def list_services(
    show_types: Annotated[
        bool, typer.Option("--show-types", "-t", help="Show request and response types.")
    ] = False,
    count: Annotated[bool, typer.Option("--count-services", "-c", help="Show their number only.")] = False,
    broker: Broker = None,
) -> None:
    """List the services."""
    with watching(broker) as bus:
        services = bus.services()
        if count:
            typer.echo(str(len(services)))
            return
        for name, record in services.items():
            typer.echo(f"{name} [{types_of(record)}]" if show_types else name)


@app.command("type")
def show_type(service: Name, broker: Broker = None) -> None:
    """Show the request and response types of a service."""
    with watching(broker) as bus:
        typer.echo(types_of(look_up("service", service, bus.services())))


@app.command(epilog="Example: chorus service call /simulator/control '{command: pause}'")
def call(
    service: Name,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TYPE] [VALUES]",
            help="The request's fields as YAML or JSON; its type may stand before them, as in ROS.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="How long to wait for the answer, s.")] = ANSWER_S,
    broker: Broker = None,
) -> None:
    """Call a service and print its answer."""
    with watching(broker) as bus:
        record = look_up("service", service, bus.services())
        request = message_from(
            _values(service, record["request"], words or []), schema_named(record["request"])
        )
        response = schema_named(record["response"]).cls
        typer.echo(f"requester: making request: {request!r}\n")
        answer = bus.call(Service(service, type(request), response), request, timeout)
        typer.echo(f"response: {type(answer).__name__}\n{as_yaml(values_of(answer), None)}")


def _values(service: str, request: str, words: list[str]) -> str:
    """Return the request's fields; a type before them must be the right one."""
    if words and words[0] in BY_NAME:
        if words[0] != request:
            msg = f"service {service}: takes {request}, not {words[0]}"
            raise QuestionError(msg)
        words = words[1:]
    if len(words) > 1:
        msg = f"service {service}: got {words!r}, expected one YAML or JSON mapping; put it in quotes"
        raise QuestionError(msg)
    return words[0] if words else "{}"


def ask(bus: Observer, service: Service[Any, Any], request: Any, timeout_s: float) -> Any:
    """Call a service of a node that may be busy; None if it does not answer in time or is gone."""
    try:
        return bus.call(service, request, timeout_s)
    except (RequestTimeoutError, ServiceUnavailableError):
        return None
