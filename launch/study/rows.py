"""The runs of a study, each a variant with a seed: what is asked of it, and what of it is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from agents.files import write_atomically
from launch.agent_names import agents_of
from launch.arguments import parse_overrides
from launch.errors import LaunchError
from launch.evaluation import RESULTS
from launch.held_out import CONFIG, evaluator_settings, settings_under
from launch.launch_file import read_launch_file
from launch.paths import checked
from launch.spec import LaunchSpec
from launch.study.study import Overrides, Study, slug
from launch.suggest import did_you_mean

RECORD = "study.json"  # in a run folder: how the run came about; written when it has ended well
Json = dict[str, Any]


class State(Enum):
    """What of a row is there."""

    MISSING = "not trained"
    TRAINED = "trained, and evaluated otherwise or not at all"
    DONE = "done"


@dataclass(frozen=True)
class Row:
    """One run of a study."""

    variant: str
    seed: int
    folder: Path
    words: tuple[str, ...]  # laid over the launch file

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A study with what the command line says of it."""

    study: Study
    folder: Path
    launch_file: Path
    on_top: Overrides  # of the command line

    def rows(self) -> Iterator[Row]:
        """Yield the runs, seed by seed, so that a first comparison is there early."""
        for seed in self.study.seeds:
            for variant in self.study.variants:
                yield self.row(variant, seed)

    def row(self, variant: str, seed: int) -> Row:
        """Return one run. Raises LaunchError if the study has no such variant or seed."""
        if variant not in self.study.variants:
            msg = f"there is no variant {variant!r}, {did_you_mean(variant, list(self.study.variants))}"
            raise LaunchError(msg)
        if seed not in self.study.seeds:
            msg = f"there is no seed {seed}; the study has {', '.join(map(str, self.study.seeds))}"
            raise LaunchError(msg)
        folder = self.folder / slug(variant) / f"seed_{seed}"
        return Row(variant, seed, folder, self._words({**self.study.variants[variant], **self.on_top}, seed))

    def spec(self, row: Row) -> tuple[LaunchSpec, tuple[str, ...]]:
        """Return what is asked of a run, and the names of its agents. Raises LaunchFileError."""
        return self._checked(row.words)

    def baseline_spec(self) -> tuple[LaunchSpec, tuple[str, ...]]:
        """Return the grid of the baselines: that of all variants. Raises LaunchFileError."""
        return self._checked(self._words(self.on_top, self.study.seeds[0]))

    def result_file(self, folder: Path, condition: str) -> Path:
        """Return where a run's episodes under a condition are."""
        return folder / (f"evaluation-{slug(condition)}.json" if condition else RESULTS)

    def state(self, row: Row) -> State:
        """Return what of a run is there.

        Raises:
            LaunchError: the folder holds a finished run with another configuration.
        """
        if not (row.folder / RECORD).exists():
            return State.MISSING
        spec, agents = self.spec(row)
        found = yaml.safe_load((row.folder / CONFIG).read_text(encoding="utf-8"))
        different = _differences(_training(found), _training(config_of(spec)))
        if different:
            msg = (
                f"{row.folder} was trained with another configuration ({'; '.join(different)}); "
                "give another --out, or remove it"
            )
            raise LaunchError(msg)
        wanted = evaluator_settings(spec, agents)
        return State.DONE if recorded_settings(row.folder / RESULTS) == wanted else State.TRAINED

    def settings(self, folder: Path, condition: str) -> Json:
        """Return what to evaluate of a finished run under a condition, without baselines."""
        settings = settings_under(folder, _as_words(self.study.cells[condition]))
        return {**settings, "baselines": []}

    def baseline_settings(self, condition: str) -> Json:
        """Return what to evaluate of the baselines under a condition; `baseline_folder` was prepared."""
        settings = settings_under(self.baseline_folder, _as_words(self.study.cells[condition]))
        return {**settings, "learners": [], "stand_ins": {}, "baselines": list(self.study.baselines)}

    @property
    def baseline_folder(self) -> Path:
        """Return the folder of what the baselines did."""
        return self.folder / "baselines"

    def _words(self, overrides: Overrides, seed: int) -> tuple[str, ...]:
        study = self.study
        held_out = {
            "evaluator.seed": study.scenarios.seed,
            "evaluator.episodes": study.scenarios.episodes,
            "evaluator.policies": study.policies,
            "evaluator.baselines": [],  # they play once, not once per seed
            "evaluator.metrics": study.measures,
        }
        return _as_words({**study.overrides, **overrides, "seed": seed, **held_out})

    def _checked(self, words: Sequence[str]) -> tuple[LaunchSpec, tuple[str, ...]]:
        tree = read_launch_file(self.launch_file, parse_overrides(words))
        spec = checked(tree.root)
        return spec, agents_of(tree.root, spec)


def config_of(spec: LaunchSpec) -> Json:
    """Return a launch file's content as a run folder has it."""
    text = yaml.safe_dump(spec.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    document: Json = yaml.safe_load(text)
    return document


def write_config(folder: Path, spec: LaunchSpec) -> None:
    """Write a launch file's content where a run folder has it."""
    text = yaml.safe_dump(config_of(spec), sort_keys=False, allow_unicode=True)
    write_atomically(folder / CONFIG, f"# resolved by a study\n{text}".encode())


def write_json(path: Path, document: Json) -> None:
    """Write a document that a later call of the same command reads."""
    write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())


def recorded_settings(path: Path) -> Json | None:
    """Return what a file of episodes says was evaluated, or None where there is none."""
    if not path.exists():
        return None
    settings: Json = json.loads(path.read_text(encoding="utf-8"))["settings"]
    return settings


def _as_words(overrides: Overrides) -> tuple[str, ...]:
    return tuple(f"{key}={json.dumps(value)}" for key, value in overrides.items())


def _training(config: Json) -> Json:
    return {key: value for key, value in config.items() if key not in ("evaluator", "name")}


def _differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            difference
            for key in {**found, **wanted}
            for difference in _differences(
                found.get(key, "the default"), wanted.get(key, "the default"), f"{place}.{key}".strip(".")
            )
        ]
    return [] if found == wanted else [f"{place} is {found!r}, asked {wanted!r}"]
