"""Search for hyperparameters: random trials of an ensemble, scored on validation scenarios.

    python benchmarks/search.py microgrid6                      benchmarks/searches/microgrid6.yaml
    python benchmarks/search.py microgrid6 --trials 3 --steps 10000    a quick look
    python benchmarks/search.py microgrid6 --write docs/hyperparameters.md

Each trial draws a value for every key of the file's space, and is an ordinary `chorus launch` of as many
environment steps as the others; beside the draws, one trial has the launch file's own values. Scores are
returns in scenarios that the tables of docs/results.md do not use. What is finished is kept: after Ctrl-C the
same command goes on.

J. Bergstra and Y. Bengio, Random search for hyper-parameter optimization, JMLR 13 (2012).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from learning import complete, guarded, laid_over, positive, say, words

from launch.imports import ROOT
from launch.study.lock import locked
from launch.study.page import replace_part
from launch.study.rows import Plan
from launch.study.search import Search, read_search, refuse_on_top, report, trials_of, with_steps
from launch.study.study import Overrides, find_study, slug

SEARCHES = ROOT / "benchmarks" / "searches"


def main() -> int:
    arguments = parser().parse_intermixed_args()
    return guarded("search", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    search = read_search(find_study(arguments.grid, SEARCHES, "search"))
    given = {"trials": arguments.trials, "steps": arguments.steps}
    search = search.model_copy(update={key: value for key, value in given.items() if value is not None})
    on_top = laid_over(arguments.overrides)
    refuse_on_top(search, on_top)
    out = (arguments.out or default_folder(search, arguments, on_top)).absolute()
    page = arguments.write and arguments.write.absolute()
    os.chdir(ROOT)  # paths in launch files are seen from there
    plan = Plan(trials_of(search, arguments.seed), out, ROOT / search.launch, on_top)
    plan = with_steps(plan, search.steps)
    if not arguments.table_only:
        with locked(plan.folder):
            complete(plan, arguments.jobs)
    text, missing = report(plan, search, command(arguments, on_top))
    if text:
        say(f"\n{text}\nruns: {plan.folder}")
    if missing:
        say(f"not there: {', '.join(missing)}")
    if page and missing:
        say(f"{page} stays as it is: it gets a table when nothing is missing (--trials)")
    elif page:
        replace_part(page, f"search {search.name}", text, {}, page.parent / "pictures")
        say(f"written: {page}")
    return 1 if missing else 0


def default_folder(search: Search, arguments: argparse.Namespace, on_top: Overrides) -> Path:
    """Return a folder that only trials of this kind share; more of them join those that are there."""
    how = {key: value for key in ("steps", "seed") if (value := getattr(arguments, key))}
    return Path("runs") / "searches" / "-".join([search.name, *map(slug, words({**how, **on_top}))])


def command(arguments: argparse.Namespace, on_top: Overrides) -> str:
    """Return the command that makes the table anew, without where it goes."""
    options = {key: getattr(arguments, key) for key in ("trials", "steps", "seed")}
    chosen = [word for key, value in options.items() if value for word in (f"--{key}", str(value))]
    return f"python benchmarks/search.py {shlex.join([arguments.grid, *chosen, *words(on_top)])}"


def natural(text: str) -> int:
    if not text.isdecimal():
        msg = f"got {text!r}, expected a whole number, at least 0"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("grid", metavar="GRID", help="name in benchmarks/searches, or a path")
    found.add_argument("overrides", nargs="*", metavar="name=value", help="laid over all trials")
    found.add_argument("--trials", type=positive, metavar="N", help="how many are drawn")
    found.add_argument("--steps", type=positive, metavar="N", help="environment steps of a trial")
    found.add_argument("--seed", type=natural, default=0, metavar="N", help="of the draws (0)")
    found.add_argument("--out", type=Path, metavar="DIR", help="folder (runs/searches/NAME)")
    found.add_argument("--jobs", type=positive, default=1, metavar="J", help="trials side by side (1)")
    found.add_argument("--table-only", action="store_true", help="train nothing, show what is there")
    found.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page")
    return found


if __name__ == "__main__":
    sys.exit(main())
