"""Learn a grid from several seeds in several variants, and compare all on held-out scenarios.

    python benchmarks/learning.py frequency68                       benchmarks/studies/frequency68.yaml
    python benchmarks/learning.py frequency68 --seeds 2 --variants centralized --updates 20    a quick look
    python benchmarks/learning.py frequency68 --write docs/results.md
    python benchmarks/learning.py frequency68 --check-reproducible centralized 0

Every run is an ordinary `chorus launch` in a folder of its own. What is finished is kept: after Ctrl-C the
same command goes on with the runs that are missing, and an interrupted one begins anew. The study's folder
gets results.csv (a row per policy, seed and scenario), table.md, and pictures.

name=value changes an argument of the launch file, and section.key=value any key of it, in all variants.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from agents.errors import AgentsError
from launch.arguments import parse_overrides
from launch.card import write_card
from launch.errors import LaunchError
from launch.evaluation import read_results
from launch.imports import ROOT
from launch.processes import ONE_THREAD
from launch.study.lock import locked
from launch.study.page import replace_part
from launch.study.playing import due, play, prepare, refresh
from launch.study.report import make_report
from launch.study.reproduce import train_again
from launch.study.rows import Plan, State
from launch.study.study import Overrides, Study, find_study, read_study, reserved, slug
from launch.study.training import train
from launch.suggest import did_you_mean
from simulator.errors import SimulatorError

STUDIES = ROOT / "benchmarks" / "studies"


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    arguments = parser().parse_intermixed_args()
    return guarded("learning", lambda: run(arguments))


def guarded(name: str, work: Callable[[], int]) -> int:
    """Do what a command is for; return its exit code, and say why where it did not come to its end."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: `&` in a script has it ignored
        signal.signal(number, interrupt)
    try:
        return work()
    except (LaunchError, AgentsError, SimulatorError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the same command goes on", file=sys.stderr)
        return 130


def run(arguments: argparse.Namespace) -> int:
    plan = planned(arguments)
    if arguments.check_reproducible:
        variant, seed = arguments.check_reproducible
        with locked(plan.folder):
            comparison = train_again(plan, variant, whole_number("--check-reproducible", seed), say)
        say(f"{variant}, seed {seed}, trained again: {comparison}")
        return 0 if comparison.same else 1
    if not arguments.table_only:
        with locked(plan.folder):
            complete(plan, arguments.jobs)
    report = make_report(plan, command(arguments))
    if report.text:
        say(f"\n{report.text}\nresults.csv, table.md and pictures: {plan.folder}")
    if report.missing:
        say(f"not there: {'; '.join(report.missing)}")
    if arguments.write and not report.missing:
        page = arguments.write
        replace_part(page, plan.study.name, report.text, report.pictures, page.parent / "pictures")
        say(f"written: {page}")
    elif arguments.write:
        say(
            f"{arguments.write} stays as it is: it gets a table when nothing is missing (--seeds, --variants)"
        )
    return 1 if report.missing else 0


def complete(plan: Plan, jobs: int) -> None:
    """Train and evaluate what is missing."""
    rows = list(plan.rows())
    for row in rows:
        plan.spec(row)  # what is wrong with any of them is said before the first one trains
    prepare(plan)  # and what is wrong with any condition
    states = {row: plan.state(row) for row in rows}
    missing = [row for row, state in states.items() if state is State.MISSING]
    say(f"{plan.study.name}: {len(rows)} runs, {len(rows) - len(missing)} trained, folder {plan.folder}")
    play([refresh(plan, row) for row, state in states.items() if state is State.TRAINED], jobs, say)
    failed = train(missing, plan.launch_file, jobs, say)
    trained = [row for row in rows if row not in failed]
    play(list(due(plan, trained)), jobs, say)
    if not plan.study.conditions:  # the baselines met the scenarios of the runs' own evaluation
        for row in trained:
            write_card(row.folder, read_results(plan.baseline_folder))


def planned(arguments: argparse.Namespace) -> Plan:
    """Return the study with the command line laid over it; paths in `arguments` become absolute."""
    study = read_study(find_study(arguments.grid, STUDIES))
    on_top = overrides(arguments)
    for fault in reserved(on_top):
        raise LaunchError(fault)
    arguments.write = arguments.write and arguments.write.absolute()
    changes: dict[str, object] = {}
    if arguments.seeds:
        changes["seeds"] = seeds(study, arguments.seeds)
    if arguments.variants:
        changes["variants"] = variants(study, arguments.variants)
    out = arguments.out or Path("runs") / "studies" / "-".join([study.name, *map(slug, words(on_top))])
    file = ROOT / study.launch
    out = out.absolute()
    os.chdir(ROOT)  # paths in launch files are seen from there
    return Plan(study.model_copy(update=changes), out, file, on_top)


def overrides(arguments: argparse.Namespace) -> Overrides:
    given = laid_over(arguments.overrides)
    return given | ({"agents.updates": arguments.updates} if arguments.updates else {})


def laid_over(texts: list[str]) -> Overrides:
    """Return what `name=value` of the command line says."""
    found = parse_overrides(texts)
    given = {name: entry.plain() for name, entry in found.arguments.items()}
    return given | {".".join(path): entry.plain() for path, entry in found.keys.items()}


def seeds(study: Study, text: str) -> list[int]:
    """Return the seeds of `--seeds`: a list, or how many of the study's (then from there on)."""
    msg = f"--seeds: got {text!r}, expected a number of seeds such as 3, or a list such as 0,3"
    try:
        if "," in text:
            chosen = [int(part) for part in text.split(",") if part.strip()]
        else:
            more = range(max(study.seeds) + 1, max(study.seeds) + 1 + int(text))
            chosen = [*study.seeds, *more][: max(0, int(text))]
    except ValueError as error:
        raise LaunchError(msg) from error
    if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
        raise LaunchError(msg)
    return chosen


def variants(study: Study, text: str) -> dict[str, Overrides]:
    """Return the variants of `--variants`: a list, in which names may have commas of their own."""
    chosen, rest = [], [part.strip() for part in text.split(",")]
    while rest:
        sizes = (n for n in range(len(rest), 0, -1) if ", ".join(rest[:n]) in study.variants)
        size = next(sizes, 0)
        if not size:
            msg = f"--variants: there is no {rest[0]!r}, {did_you_mean(rest[0], study.variants)}"
            raise LaunchError(msg)
        chosen.append(", ".join(rest[:size]))
        rest = rest[size:]
    return {name: study.variants[name] for name in chosen}


def command(arguments: argparse.Namespace) -> str:
    """Return the command that makes the table anew, without where it goes."""
    chosen = [("--seeds", arguments.seeds), ("--variants", arguments.variants)]
    options = [word for name, value in chosen if value is not None for word in (name, value)]
    given = shlex.join([arguments.grid, *options, *words(overrides(arguments))])
    return f"python benchmarks/learning.py {given}"


def whole_number(option: str, text: str) -> int:
    if not text.isdecimal():
        msg = f"{option}: got seed {text!r}, expected a whole number"
        raise LaunchError(msg)
    return int(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"got {text!r}, expected a whole number, at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def words(given: Overrides) -> list[str]:
    return [f"{key}={value}" for key, value in given.items()]


def interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("grid", metavar="GRID", help="name in benchmarks/studies, or the path of a study file")
    found.add_argument("overrides", nargs="*", metavar="name=value", help="laid over all variants")
    found.add_argument("--seeds", metavar="N", help="how many, or which: 3, or 0,3")
    found.add_argument("--variants", metavar="A,B", help="only these")
    found.add_argument("--updates", type=positive, metavar="N", help="rollouts per run, for a quick look")
    found.add_argument("--out", type=Path, metavar="DIR", help="folder (runs/studies/NAME)")
    found.add_argument("--jobs", type=positive, default=1, metavar="J", help="runs side by side (1)")
    found.add_argument("--table-only", action="store_true", help="train nothing, show what is there")
    found.add_argument(
        "--write", type=Path, metavar="PAGE", help="put the table into a page, docs/results.md"
    )
    found.add_argument(
        "--check-reproducible",
        nargs=2,
        metavar=("VARIANT", "SEED"),
        help="train this run again, and compare policies and returns bit for bit",
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
