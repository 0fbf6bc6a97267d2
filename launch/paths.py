"""Paths that a launch file names, made absolute before the run starts: its folder is used from anywhere.

A path is seen from the working directory, or else from the folder of the file that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.errors import Fault, LaunchFileError
from launch.spec import AgentSpec, LaunchSpec
from launch.validate import fault_at, validate
from launch.yaml_tree import Entry

Place = tuple[str, ...]

Test = Callable[[Path], bool]

# Options of grids that may be paths; a partition may also be a name, such as "single", even where there is
# a folder of that name.
OPTIONS: Mapping[str, Test] = {"partition": Path.is_file, "case": Path.is_dir}


def checked(root: Entry) -> LaunchSpec:
    """Return a launch file's content, checked, with every path that is there absolute, links followed.

    Raises:
        LaunchFileError: holds every fault, each with file, line and key.
    """
    spec = validate(root)
    agents, grid, evaluator, player = spec.agents, spec.simulator, spec.evaluator, spec.player
    overrides = {
        name: own.model_copy(update={"load": _load(root, name, own)})
        for name, own in agents.overrides.items()
    }
    load = _absolute(root, ("agents", "load"), agents.load)
    changes: dict[str, Any] = {
        "agents": agents.model_copy(update={"load": load, "overrides": overrides}),
        "simulator": grid.model_copy(update={"options": _options(root, "simulator", grid.options)}),
    }
    if evaluator is not None:
        laid = _options(root, "evaluator", evaluator.options)
        changes["evaluator"] = evaluator.model_copy(update={"options": laid})
    if player is not None:
        bag = _absolute(root, ("player", "bag"), player.bag)
        changes["player"] = player.model_copy(update={"bag": bag})
    return spec.model_copy(update=changes)


def refuse_missing(root: Entry, spec: LaunchSpec) -> None:
    """Raise LaunchFileError if a `load` names nothing that is there; a run that is over does without."""
    faults = list(_missing(root, spec))
    if faults:
        raise LaunchFileError(faults)


def _missing(root: Entry, spec: LaunchSpec) -> Iterator[Fault]:
    loads: dict[Place, str | None] = {("agents", "load"): spec.agents.load}
    for name, own in spec.agents.overrides.items():
        if not own.external:  # its files are where it is started
            loads["agents", "overrides", name, "load"] = own.load
    for place, text in loads.items():
        if text is not None and _found(root, place, text) is None:
            expected = "the models/ folder of a run, or the zip of a saved agent"
            yield fault_at(root, place, f"got {text!r}, which is not there; expected {expected}")


def _load(root: Entry, name: str, own: AgentSpec) -> str | None:
    return _absolute(root, ("agents", "overrides", name, "load"), own.load)


def _options(root: Entry, section: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _absolute(root, (section, "options", key), value, OPTIONS[key])
        if key in OPTIONS and isinstance(value, str)
        else value
        for key, value in options.items()
    }


def _absolute(root: Entry, place: Place, text: str | None, is_there: Test = Path.exists) -> str | None:
    """Return the absolute path of what is there; anything else, such as a grid's own name, as it is."""
    found = _found(root, place, text, is_there) if text else None
    return text if found is None else str(found)


def _found(root: Entry, place: Place, text: str, is_there: Test = Path.exists) -> Path | None:
    named_in = Path(root.place(place).partition(" (")[0].rpartition(":")[0])  # "." for the command line
    for path in (Path(text), named_in.parent / text):
        if is_there(path):
            return path.resolve()
    return None
