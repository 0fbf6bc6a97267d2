"""Launch arguments: declared in a file, set on the command line, put in place of `${name}`.

A value that is nothing but `${name}` becomes the argument with its type; inside a longer text it
becomes its text. The default's type is the argument's type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launch.errors import Fault, LaunchFileError
from launch.suggest import did_you_mean
from launch.yaml_tree import Entry, entry_of, parse_scalar

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_TYPE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Argument:
    """One argument that a launch file declares."""

    name: str
    default: Any
    description: str
    where: str

    def accept(self, entry: Entry) -> Entry:
        """Return the given value in the argument's type.

        Raises:
            LaunchFileError: the value is of another type than the default.
        """
        value, kind = entry.plain(), type(self.default)
        if kind is float and type(value) is int:
            return Entry(float(value), entry.where)
        if kind is str and type(value) in (int, float, bool):
            return Entry(str(value), entry.where)
        if kind in _TYPE_NAMES and type(value) is not kind:
            text = f"argument is {value!r}, expected {_TYPE_NAMES[kind]} like the default {self.default!r}"
            raise LaunchFileError([Fault(entry.where, self.name, text)])
        return entry


@dataclass(frozen=True)
class Overrides:
    """What the command line lays over a launch file."""

    arguments: Mapping[str, Entry]  # name=value
    keys: Mapping[tuple[str, ...], Entry]  # section.key=value


def parse_overrides(words: Sequence[str]) -> Overrides:
    """Read `name=value`, `name:=value` and `section.key=value` from the command line.

    Raises:
        LaunchFileError: a word has no `=`, or a name is given twice.
    """
    arguments: dict[str, Entry] = {}
    keys: dict[tuple[str, ...], Entry] = {}
    for word in words:
        name, sign, text = word.partition("=")
        name = name.removesuffix(":").strip()
        if not sign or not name:
            raise LaunchFileError([Fault("command line", word, "expected name=value, such as seed=1")])
        path = tuple(name.split("."))
        if name in arguments or path in keys:
            raise LaunchFileError([Fault("command line", name, "given twice")])
        entry = entry_of(parse_scalar(text), "command line")
        if len(path) == 1:
            arguments[name] = entry
        else:
            keys[path] = entry
    return Overrides(arguments, keys)


def declared(section: Entry | None) -> dict[str, Argument]:
    """Read a file's `arguments` section: name to default, or name to {default, description}.

    Raises:
        LaunchFileError: the section is no mapping, or an argument has no default.
    """
    if section is None or section.value is None:
        return {}
    if not isinstance(section.value, dict):
        text = f"got {section.plain()!r}, expected a mapping of name to {{default, description}}"
        raise LaunchFileError([Fault(section.where, "arguments", text)])
    return {name: _argument(name, entry) for name, entry in section.value.items()}


def _argument(name: str, entry: Entry) -> Argument:
    if not isinstance(entry.value, dict):
        return Argument(name, entry.plain(), "", entry.where)
    settings = entry.plain()
    for key in settings:
        if key not in ("default", "description"):
            text = f"unknown key, {did_you_mean(key, ('default', 'description'))}"
            raise LaunchFileError([Fault(entry.value[key].where, f"arguments.{name}.{key}", text)])
    if "default" not in settings:
        raise LaunchFileError([Fault(entry.where, f"arguments.{name}", "has no default; give it one")])
    return Argument(name, settings["default"], str(settings.get("description") or ""), entry.where)


def resolve(arguments: Mapping[str, Argument], given: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return every argument's value: the given one, else the default.

    Raises:
        LaunchFileError: a given argument is not declared, or of the wrong type.
    """
    faults = [
        Fault(entry.where, name, f"unknown argument, {did_you_mean(name, arguments)}")
        for name, entry in given.items()
        if name not in arguments
    ]
    if faults:
        raise LaunchFileError(faults)
    return {
        name: argument.accept(given[name]) if name in given else entry_of(argument.default, argument.where)
        for name, argument in arguments.items()
    }


def substitute(entry: Entry, values: Mapping[str, Entry]) -> Entry:
    """Return the tree with every `${name}` replaced.

    Raises:
        LaunchFileError: a name that no argument has.
    """
    if isinstance(entry.value, dict):
        return Entry({key: substitute(item, values) for key, item in entry.value.items()}, entry.where)
    if isinstance(entry.value, list):
        return Entry([substitute(item, values) for item in entry.value], entry.where)
    if not isinstance(entry.value, str) or "${" not in entry.value:
        return entry

    def look_up(match: re.Match[str]) -> Entry:
        name = match[1].strip()
        if name not in values:
            text = f"${{{name}}} is no argument of this file, {did_you_mean(name, values)}"
            raise LaunchFileError([Fault(entry.where, "", text)])
        return values[name]

    whole = _REFERENCE.fullmatch(entry.value)
    if whole:
        value = look_up(whole)
        origin = f" ({whole[0]} from the command line)" if value.where == "command line" else ""
        return entry_of(value.plain(), entry.where + origin)
    return Entry(_REFERENCE.sub(lambda match: str(look_up(match).plain()), entry.value), entry.where)
