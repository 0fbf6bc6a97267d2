"""What a study file says: the launch file, its variants, the seeds, and what all are compared on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from launch.errors import Fault, LaunchFileError
from launch.references import Reference
from launch.spec import Name, Positive, Section
from launch.suggest import did_you_mean
from launch.yaml_tree import Entry, read_yaml

Model = TypeVar("Model", bound=Section)
Overrides = dict[str, Any]  # argument or dotted key of a launch file -> value

# What a study decides for all its runs, so that no variant can decide otherwise.
RESERVED = {
    "seed": "set its `seeds` (--seeds)",
    "evaluator.seed": "set its `scenarios.seed`",
    "evaluator.episodes": "set its `scenarios.episodes`",
    "evaluator.policies": "set its `policies`",
    "evaluator.baselines": "set its `baselines`",
    "evaluator.metrics": "set its `metrics`",
}

# Figures of an episode that every grid has; all others are measures of the grid's metrics.
COMMON = ("survived", "terminated", "interventions", "ticks")


class Scenarios(Section):
    """The held-out scenarios that everybody plays."""

    seed: Annotated[int, Field(ge=0)] = 1000  # evaluator.seed
    episodes: Positive = 100


class Study(Section):
    """A study file."""

    name: Name
    launch: str  # a launch file, from the project's folder
    overrides: Overrides = Field(default_factory=dict)  # of all variants
    variants: Annotated[dict[str, Overrides], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    scenarios: Scenarios = Scenarios()
    policies: Annotated[list[Literal["deterministic", "sampled"]], Field(min_length=1)]
    baselines: list[Reference] = Field(default_factory=list)
    metrics: list[str] = Field(default_factory=list)  # columns: COMMON, or a measure (launch.measures)
    loss_against: Reference | None = None  # a column: loss (minus the return) over that of this baseline
    rivals: list[str] = Field(
        default_factory=list
    )  # variants that all are compared with, as with the baselines
    conditions: dict[str, Overrides] = Field(default_factory=dict)  # each policy plays under each of these
    notes: dict[str, str] = Field(default_factory=dict)  # variant or baseline -> what to know of its row

    @property
    def measures(self) -> list[str]:
        """Return what the evaluator has to measure."""
        return [metric for metric in self.metrics if metric not in COMMON]

    @property
    def cells(self) -> dict[str, Overrides]:
        """Return the conditions, or the one nameless condition of a study that has none."""
        return self.conditions or {"": {}}


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        LaunchFileError: the file cannot be read, or holds something that a study does not have.
    """
    study, root = read_as(Study, path)
    faults = [
        Fault(root.place((section,)), section, f"{one!r} and {other!r} would share a folder; rename one")
        for section, names in (("variants", study.variants), ("conditions", study.conditions))
        for index, one in enumerate(names)
        for other in list(names)[index + 1 :]
        if slug(one) == slug(other)
    ]
    faults += [
        Fault(root.place((section,)), f"{section}.{name}", fault)
        for section, groups in (
            ("overrides", {"": study.overrides}),
            ("variants", study.variants),
            ("conditions", study.conditions),
        )
        for name, group in groups.items()
        for fault in reserved(group)
    ]
    shown = [*study.variants, *study.baselines]
    faults += [
        Fault(root.place(("notes",)), f"notes.{name}", f"no such row, {did_you_mean(name, shown)}")
        for name in study.notes
        if name not in shown
    ]
    faults += [
        Fault(root.place(("rivals",)), "rivals", f"no variant {name!r}, {did_you_mean(name, study.variants)}")
        for name in study.rivals
        if name not in study.variants
    ]
    faults += [Fault(root.place(("seeds",)), "seeds", fault) for fault in twice(study.seeds)]
    if study.loss_against is not None and study.loss_against not in study.baselines:
        text = f"{study.loss_against!r} is not among the baselines"
        faults.append(Fault(root.place(("loss_against",)), "loss_against", text))
    if faults:
        raise LaunchFileError(faults)
    return study


def read_as(model: type[Model], path: Path) -> tuple[Model, Entry]:
    """Read a YAML file as what a model says it is; return it, and the file's tree.

    Raises:
        LaunchFileError: the file cannot be read, or is none.
    """
    root = read_yaml(path)
    try:
        return model.model_validate(root.plain()), root
    except ValidationError as error:
        raise LaunchFileError([_fault(root, detail, model) for detail in error.errors()]) from error


def reserved(
    overrides: Collection[str], kind: str = "study", places: Mapping[str, str] = RESERVED
) -> list[str]:
    """Return what is wrong with overrides that a study, or another kind, makes itself.

    Args:
        overrides: arguments and dotted keys.
        kind: who makes it itself.
        places: key -> what to do in its place.
    """
    return [f"{key} is for the {kind} to say: {places[key]}" for key in overrides if key in places]


def twice(seeds: Sequence[int]) -> list[str]:
    """Return what is wrong with a list of seeds."""
    return [f"{list(seeds)} has a seed twice"] if len(set(seeds)) < len(seeds) else []


def find_study(name: str, folder: Path, kind: str = "study") -> Path:
    """Return the file of a study, or of another kind, of a name or a path.

    Raises:
        LaunchFileError: there is none.
    """
    if name.endswith(".yaml"):
        return Path(name)
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        text = f"there is no {kind} {name!r}, {did_you_mean(name, known)}"
        raise LaunchFileError([Fault("command line", "", text)])
    return path


def slug(name: str) -> str:
    """Return a name as a file's: letters, digits, dots, and underscores for the rest."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_") or "_"


def _fault(root: Entry, detail: Any, model: type[Section]) -> Fault:
    text, place = str(detail["msg"]), detail["loc"]
    if detail["type"] == "extra_forbidden":
        known = model.model_fields if len(place) == 1 else Scenarios.model_fields  # the only section within
        text = f"unknown key, {did_you_mean(str(place[-1]), known)}"
    return Fault(root.place(place), ".".join(str(key) for key in place), text)
