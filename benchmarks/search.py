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

from launch.errors import LaunchError
from launch.imports import ROOT
from launch.study.lock import locked
from launch.study.page import replace_part
from launch.study.rows import Plan, State
from launch.study.search import Search, read_search, scores, table, trials_of, with_steps
from launch.study.study import find_study, reserved
from launch.study.training import read_record

SEARCHES = ROOT / "benchmarks" / "searches"


def main() -> int:
    arguments = parser().parse_intermixed_args()
    return guarded("search", lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    search = read_search(find_study(arguments.grid, SEARCHES, "search"))
    given = {"trials": arguments.trials, "steps": arguments.steps}
    search = search.model_copy(update={key: value for key, value in given.items() if value is not None})
    on_top = laid_over(arguments.overrides)
    for fault in reserved(on_top):
        raise LaunchError(fault)
    out = (arguments.out or Path("runs") / "searches" / search.name).absolute()
    page = arguments.write and arguments.write.absolute()
    os.chdir(ROOT)  # paths in launch files are seen from there
    plan = Plan(trials_of(search, arguments.seed), out, ROOT / search.launch, on_top)
    plan = with_steps(plan, search.steps)
    if not arguments.table_only:
        with locked(plan.folder):
            complete(plan, arguments.jobs)
    found = scores(plan)
    text = f"{table(plan, search.space, found)}\n\n{origin(arguments, search, plan)}"
    if found:
        say(f"\n{text}\nruns: {plan.folder}")
    missing = [name for name in plan.study.variants if name not in found]
    if missing:
        say(f"not there: {', '.join(missing)}")
    elif page:
        replace_part(page, f"search {search.name}", text, {}, page.parent / "pictures")
        say(f"written: {page}")
    return 1 if missing else 0


def origin(arguments: argparse.Namespace, search: Search, plan: Plan) -> str:
    """Return where a table comes from."""
    given = {"--trials": arguments.trials, "--steps": arguments.steps, "--seed": arguments.seed or None}
    chosen = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    command = shlex.join([arguments.grid, *chosen, *words(plan.on_top)])
    done = [row for row in plan.rows() if plan.state(row) is State.DONE]
    commits = sorted({read_record(row).commit for row in done})
    seeds, where = ", ".join(map(str, search.seeds)), search.scenarios
    return (
        "Return: interquartile mean, with its 95 % bootstrap interval over scenarios, and seeds if there are "
        "several. Survived: mean share of the episodes' ticks.\n\n"
        f"- `python benchmarks/search.py {command}`\n"
        f"- commit {', '.join(commits)}; {search.steps:,} environment steps a trial, training seed {seeds}; "
        f"{where.episodes} scenarios of `evaluator.seed: {where.seed}`\n"
    )


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("grid", metavar="GRID", help="name in benchmarks/searches, or a path")
    found.add_argument("overrides", nargs="*", metavar="name=value", help="laid over all trials")
    found.add_argument("--trials", type=positive, metavar="N", help="how many are drawn")
    found.add_argument("--steps", type=positive, metavar="N", help="environment steps of a trial")
    found.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    found.add_argument("--out", type=Path, metavar="DIR", help="folder (runs/searches/NAME)")
    found.add_argument("--jobs", type=positive, default=1, metavar="J", help="trials side by side (1)")
    found.add_argument("--table-only", action="store_true", help="train nothing, show what is there")
    found.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page")
    return found


if __name__ == "__main__":
    sys.exit(main())
