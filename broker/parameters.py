"""Run-time parameters of a node, read and set by others through its service `/<node>/parameters`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broker.errors import MessageError
from broker.messages import ParametersReply, ParametersRequest


@dataclass
class _Parameter:
    value: Any
    doc: str
    watchers: list[Callable[[Any], None]] = field(default_factory=list)


class Parameters:
    """Named values that JSON can carry."""

    def __init__(self, node: str) -> None:
        """Start with none."""
        self._node = node
        self._parameters: dict[str, _Parameter] = {}

    def declare(self, name: str, value: Any, doc: str) -> None:
        """Add a parameter.

        Args:
            name: its name.
            value: its first value; later ones must be of the same type.
            doc: one line on what it does, with its unit.
        """
        self._parameters[name] = _Parameter(value, doc)

    def get(self, name: str) -> Any:
        """Return the value of a parameter.

        Raises:
            MessageError: if there is none of that name.
        """
        return self._find(name).value

    def set(self, name: str, value: Any) -> None:
        """Change a parameter, telling those who watch it; if one of them objects, nothing changes.

        Raises:
            MessageError: if there is none of that name, or the value is of another type.
        """
        parameter = self._find(name)
        old = parameter.value
        if isinstance(old, float) and type(value) is int:
            value = float(value)
        if old is not None and type(value) is not type(old):
            msg = f"parameter {name} of {self._node}: got {value!r}, expected one like {old!r}"
            raise MessageError(msg)
        for watcher in parameter.watchers:
            watcher(value)
        parameter.value = value

    def on_change(self, name: str, watcher: Callable[[Any], None]) -> None:
        """Call `watcher(value)` before each change; it objects by raising ValueError."""
        self._find(name).watchers.append(watcher)

    def answer(self, request: ParametersRequest) -> ParametersReply:
        """Serve one request: `list`, `describe`, `get` or `set`.

        Raises:
            MessageError: if the command, name or value is none that is known.
        """
        match request.command:
            case "list":
                values = {name: p.value for name, p in self._parameters.items()}
            case "describe":
                values = {name: p.doc for name, p in self._parameters.items()}
            case "get":
                values = {request.name: self.get(request.name)}
            case "set":
                self.set(request.name, _parsed(request))
                values = {request.name: self.get(request.name)}
            case _:
                msg = f"parameters of {self._node}: no {request.command!r}; list, describe, get or set"
                raise MessageError(msg)
        return ParametersReply(json.dumps(values))

    def _find(self, name: str) -> _Parameter:
        try:
            return self._parameters[name]
        except KeyError:
            msg = f"node {self._node} has no parameter {name!r}; it has {sorted(self._parameters)}"
            raise MessageError(msg) from None


def _parsed(request: ParametersRequest) -> Any:
    try:
        return json.loads(request.value)
    except ValueError as error:
        msg = f"parameter {request.name}: {request.value!r:.60} is not JSON: {error}"
        raise MessageError(msg) from None
