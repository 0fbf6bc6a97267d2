"""YAML that remembers where every key stands.

A launch file is read into a tree of `Entry`, so that a fault found much later (after includes,
substitutions and overrides) can still be reported at its file and line.

Scalars are those of YAML 1.2: `3e-4` is a number, and `on`, `yes`, `1:30`, `007` are plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launch.errors import Fault, LaunchFileError


@dataclass(frozen=True)
class Entry:
    """A value and where it was written: a scalar, a dict of name to Entry, or a list of Entry."""

    value: Any
    where: str  # file:line, or "command line"

    def plain(self) -> Any:
        """Return the value without the places."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return where the value at `path` stands, or else the nearest value around it."""
        entry = self
        for key in path:
            try:
                entry = entry.value[key]
            except (KeyError, IndexError, TypeError):
                break
        return entry.where


def entry_of(value: Any, where: str) -> Entry:
    """Return a plain value as a tree, all of it at one place."""
    if isinstance(value, dict):
        return Entry({str(key): entry_of(item, where) for key, item in value.items()}, where)
    if isinstance(value, list):
        return Entry([entry_of(item, where) for item in value], where)
    return Entry(value, where)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0o[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$"
        r"|^\.(?:nan|NaN)$",
        "-+.0123456789",
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
):
    _first_characters = ["" if c == "\0" else c for c in _first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first_characters)


def read_yaml(path: Path) -> Entry:
    """Read a file into a tree.

    Raises:
        LaunchFileError: the file cannot be read, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LaunchFileError([Fault(str(path), "", f"cannot be read ({reason})")]) from error
    root = parse_yaml(text, str(path))
    if not isinstance(root.value, dict):
        got = "nothing" if root.value is None else f"{root.value!r}"
        raise LaunchFileError([Fault(root.where, "", f"got {got}, expected a mapping such as 'name: ...'")])
    return root


def parse_yaml(text: str, source: str) -> Entry:
    """Parse YAML text into a tree.

    Raises:
        LaunchFileError: the text is not YAML, or a mapping has a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Entry(None, f"{source}:1")
        return _entry(loader, node, source, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        hint = "; inside { } or [ ] put ${name} in quotes" if "${" in line else ""
        raise LaunchFileError([Fault(where, "", f"not valid YAML: {error.problem}{hint}")]) from error
    except yaml.YAMLError as error:
        raise LaunchFileError([Fault(source, "", f"not valid YAML: {error}")]) from error
    finally:
        loader.dispose()


def parse_scalar(text: str) -> Any:
    """Return the value of a command line's `key=value`, read as YAML; text that is not YAML stays text."""
    try:
        return parse_yaml(text, "command line").plain()
    except LaunchFileError:
        return text


def _entry(loader: _Loader, node: yaml.Node, source: str, outer: tuple[int, ...]) -> Entry:
    where = f"{source}:{node.start_mark.line + 1}"
    if id(node) in outer:
        raise LaunchFileError([Fault(where, "", "an alias refers to a value that contains it")])
    outer = (*outer, id(node))
    if isinstance(node, yaml.MappingNode):
        return Entry(_mapping(loader, node, source, outer), where)
    if isinstance(node, yaml.SequenceNode):
        return Entry([_entry(loader, item, source, outer) for item in node.value], where)
    return Entry(loader.construct_object(node), where)


def _mapping(
    loader: _Loader, node: yaml.MappingNode, source: str, outer: tuple[int, ...]
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        where = f"{source}:{key_node.start_mark.line + 1}"
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            key = str(key_node.value)
        if key in entries:
            text = f"the name is used twice, first at {entries[key].where}; give each a name of its own"
            raise LaunchFileError([Fault(where, key, text)])
        entries[key] = Entry(_entry(loader, value_node, source, outer).value, where)
    return entries
