"""From a launch file to one tree: includes merged, arguments put in, conditions decided.

`include` names other launch files, whose keys come first and are overridden by the file's own,
mapping by mapping. A section with `if: false` or `unless: true` is as if it were not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.arguments import Argument, Overrides, declared, resolve, substitute
from launch.errors import Fault, LaunchFileError
from launch.suggest import did_you_mean
from launch.yaml_tree import Entry, read_yaml

_SWITCHES = ("record", "seed")  # keys that the command line may set although the file does not declare them


@dataclass(frozen=True)
class LaunchTree:
    """A launch file after everything but validation."""

    root: Entry
    arguments: Mapping[str, Argument]
    values: Mapping[str, Any]  # the arguments' values in force


def read_launch_file(path: Path, overrides: Overrides) -> LaunchTree:
    """Read a launch file with its includes, and lay the command line over it.

    Raises:
        LaunchFileError: a file cannot be read, or an argument, include or condition is wrong.
    """
    if not path.exists() and not path.suffix:
        path = path.with_suffix(".yaml")
    known = list_arguments(path)
    switches = {n: e for n, e in overrides.arguments.items() if n in _SWITCHES and n not in known}
    given = {name: entry for name, entry in overrides.arguments.items() if name not in switches}
    arguments, values, root = _read(path, given, ())
    for name, entry in switches.items():
        root = _overlay(root, _nest((name,), entry))
    for key_path, entry in overrides.keys.items():
        root = _overlay(root, _nest(key_path, entry))
    return LaunchTree(root, arguments, {name: entry.plain() for name, entry in values.items()})


def list_arguments(path: Path) -> dict[str, Argument]:
    """Return the arguments that a launch file declares.

    Raises:
        LaunchFileError: the file cannot be read, or declares them wrongly.
    """
    return declared(read_yaml(path).value.get("arguments"))


def _read(
    path: Path, given: Mapping[str, Entry], outer: tuple[Path, ...]
) -> tuple[dict[str, Argument], dict[str, Entry], Entry]:
    tree = read_yaml(path)
    sections = dict(tree.value)
    arguments = declared(sections.pop("arguments", None))
    values = resolve(arguments, given)
    includes = sections.pop("include", None)
    body = substitute(Entry(sections, tree.where), values)
    merged = Entry({}, tree.where)
    if includes is not None:
        for entry in _as_list(substitute(includes, values)):
            merged = _overlay(merged, _include(entry, path, (*outer, path.resolve())))
    return arguments, values, _overlay(merged, _prune(body, ""))


def _as_list(entry: Entry) -> list[Entry]:
    return entry.value if isinstance(entry.value, list) else [entry]


def _include(entry: Entry, includer: Path, outer: tuple[Path, ...]) -> Entry:
    settings = entry.value if isinstance(entry.value, dict) else {"file": entry}
    if not _wanted(settings, "include"):
        return Entry({}, entry.where)
    for key in settings:
        if key not in ("file", "arguments", "if", "unless"):
            text = f"unknown key, {did_you_mean(key, ('file', 'arguments', 'if', 'unless'))}"
            raise LaunchFileError([Fault(settings[key].where, f"include.{key}", text)])
    file = settings.get("file")
    if file is None or not isinstance(file.value, str):
        text = "expected the path of a launch file, or {file: path, arguments: {...}}"
        raise LaunchFileError([Fault(entry.where, "include", text)])
    path = includer.parent / file.value
    if not path.is_file() and Path(file.value).is_file():
        path = Path(file.value)  # a path given on the command line is seen from the working directory
    if path.resolve() in outer:
        chain = " -> ".join(p.name for p in (*outer, path))
        raise LaunchFileError([Fault(file.where, "include", f"files include each other: {chain}")])
    if not path.is_file():
        raise LaunchFileError([Fault(file.where, "include", f"there is no file {path}")])
    given = settings.get("arguments", Entry({}, entry.where)).value or {}
    return _read(path, given, outer)[2]


def _prune(entry: Entry, path: str) -> Entry:
    """Leave out every section whose condition is false."""
    if isinstance(entry.value, list):
        return Entry([_prune(item, path) for item in entry.value], entry.where)
    if not isinstance(entry.value, dict):
        return entry
    kept = {}
    for key, item in entry.value.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(item.value, dict) and not _wanted(item.value, inner):
            continue
        if key not in ("if", "unless"):
            kept[key] = _prune(item, inner)
    return Entry(kept, entry.where)


def _wanted(section: Mapping[str, Entry], path: str) -> bool:
    for key, wanted in (("if", True), ("unless", False)):
        if key not in section:
            continue
        value = section[key].value
        if not isinstance(value, bool):
            text = f"got {section[key].plain()!r}, expected true or false (or an argument that is)"
            raise LaunchFileError([Fault(section[key].where, f"{path}.{key}", text)])
        if value is not wanted:
            return False
    return True


def _nest(path: tuple[str, ...], entry: Entry) -> Entry:
    for key in reversed(path):
        entry = Entry({key: entry}, entry.where)
    return entry


def _overlay(base: Entry, own: Entry) -> Entry:
    """Return `own` laid over `base`, mapping by mapping; anything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(own.value, dict)):
        return own
    merged = dict(base.value)
    for key, entry in own.value.items():
        merged[key] = _overlay(merged[key], entry) if key in merged else entry
    return Entry(merged, base.where if base.value else own.where)
