"""`chorus factorize`: divide a grid into clusters by what its variables tell about each other."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from factorization.errors import FactorizationError, SettingError
from factorization.grouping import Method
from factorization.matrix import MatrixSettings
from factorization.mutual_information import Variant
from factorization.partition import Partition
from factorization.pipeline import GroupingSettings, Threshold
from factorization.significance import DEFAULT_FDR, DEFAULT_QUANTILE
from factorization.stability import Resampling
from launch.factorize_job import WITHOUT_SAMPLES, Job, run
from simulator.errors import SimulatorError

EXAMPLES = """What happens, step by step:

\b
  1. samples    what every variable was, what was done, and what the variables were one step later.
                grid2op:NAME tries random topology actions of one substation at a time, from many start
                states; synthetic is the published example; a .npz or .csv file holds named columns.
  2. matrix     the mutual information of every input and every target in nats, and of shuffled inputs,
                which shows what chance does. A run that was killed goes on where it was.
  3. threshold  permutation: what chance does not explain, at a false discovery rate (--fdr);
                quantile: the strongest values of each column, as published (--quantile).
  4. grouping   components: what hangs together; bicluster: spectral co-clustering, then each
                variable goes where most of its information goes; community: the division of
                largest modularity. distance, random and published need no samples and are
                there to compare with.
  5. stability  the same with resampled samples (--resamples): how often the clusters come back.

Examples:

\b
  chorus factorize grid2op:rte_case14_realistic --samples 50000 --out partition.json
  chorus factorize synthetic
  chorus factorize recording.csv --label breaker --method community
  chorus factorize grid2op:rte_case14_realistic --method distance --clusters 3 --out by_distance.json

Beside OUT.json there will be a folder OUT with report.html, pictures, matrix.npz and, for grid2op,
samples.npz. docs/factorization.md explains the method. Exit codes: 0 done, 2 the input is wrong.
"""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=EXAMPLES)
def factorize(
    env: Annotated[
        str, typer.Argument(metavar="ENV", help="grid2op:NAME, synthetic, or a .npz or .csv file.")
    ],
    out: Annotated[Path, typer.Option(help="The partition, a JSON file.")] = Path("partition.json"),
    samples: Annotated[
        int,
        typer.Option(min=0, help="Number of samples (of each substation); 0: 50000, for synthetic 20000."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    k: Annotated[int, typer.Option("--k", min=0, help="Neighbours; 0: a twentieth of the samples.")] = 0,
    variant: Annotated[str, typer.Option(help=f"Estimator: {' or '.join(get_args(Variant))}.")] = "gao2017",
    labels_as_numbers: Annotated[
        bool, typer.Option("--labels-as-numbers", help="Treat actions as numbers, as published.")
    ] = False,
    label: Annotated[list[str] | None, typer.Option(help="Column of a recording that is a label.")] = None,
    shuffles: Annotated[int, typer.Option(min=0, help="Shuffles of every pair.")] = 10,
    threshold: Annotated[str, typer.Option(help="permutation or quantile.")] = "permutation",
    fdr: Annotated[
        float, typer.Option(help="False discovery rate of the permutation threshold.")
    ] = DEFAULT_FDR,
    quantile: Annotated[
        float, typer.Option(help="Of each column, for the quantile threshold.")
    ] = DEFAULT_QUANTILE,
    method: Annotated[
        str, typer.Option(help=f"{', '.join((*get_args(Method), *WITHOUT_SAMPLES))}.")
    ] = "bicluster",
    clusters: Annotated[
        int, typer.Option(min=0, help="Their number, where a method asks; 0: let it decide.")
    ] = 0,
    resamples: Annotated[int, typer.Option(min=0, help="How many show the stability; 0: none.")] = 10,
    resampling: Annotated[str, typer.Option(help="half of the samples each, or bootstrap.")] = "half",
    jobs: Annotated[int, typer.Option(min=1, help="Processes for samples, threads for pairs.")] = 2,
    downloaded: Annotated[
        bool, typer.Option("--downloaded", help="Use a downloaded grid2op data set, not the bundled one.")
    ] = False,
) -> None:
    """Collect samples, measure who informs about whom, and write a partition into clusters."""
    try:
        _check_method(method)
        _check_resampling(resampling)
        grouping = cast(Method, method) if method in get_args(Method) else "components"
        estimator = "mixed_ksg" if labels_as_numbers else "discrete_continuous"
        job = Job(
            env=env,
            out=out,
            n_samples=samples or (20_000 if env == "synthetic" else 50_000),
            seed=seed,
            jobs=jobs,
            test=not downloaded,
            labels=tuple(label or ()),
            method=method,
            matrix=MatrixSettings(k, cast(Variant, variant), estimator, shuffles, seed, jobs),
            grouping=GroupingSettings(cast(Threshold, threshold), fdr, quantile, grouping, clusters, seed),
            resamples=resamples,
            resampling=cast(Resampling, resampling),
            command=_command(),
        )
        partition = _with_progress(job)
    except (FactorizationError, SimulatorError) as error:
        sys.stderr.write(f"{type(error).__module__}.{type(error).__name__}: {error}\n")
        raise typer.Exit(2) from error
    _print(partition, job)


def _command() -> str:
    words = sys.argv[1:]
    return shlex.join(["chorus", *([] if words[:1] == ["factorize"] else ["factorize"]), *words])


def _check_method(method: str) -> None:
    known = (*get_args(Method), *WITHOUT_SAMPLES)
    if method not in known:
        msg = f"method is {method!r}, expected one of {known}"
        raise SettingError(msg)


def _check_resampling(resampling: str) -> None:
    if resampling not in get_args(Resampling):
        msg = f"resampling is {resampling!r}, expected one of {get_args(Resampling)}"
        raise SettingError(msg)


def _with_progress(job: Job) -> Partition:
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done)

        return run(job, show)


def _print(partition: Partition, job: Job) -> None:
    console = Console()
    table = Table(title=f"{partition.environment}: {len(partition.clusters)} clusters by {job.method}")
    kinds = sorted({v.kind for v in partition.variables}, key=lambda kind: (kind != "substation", kind))
    for heading in ("cluster", *kinds):
        table.add_column(heading)
    for cluster in partition.clusters:
        members = [" ".join(str(v.id) for v in cluster.variables if v.kind == kind) for kind in kinds]
        table.add_row(cluster.name, *members)
    console.print(table)
    for bridge in partition.bridges:
        reached = ", ".join(bridge.clusters)
        console.print(f"bridge: {bridge.variable}, {bridge.outside:.0%} of its information goes to {reached}")
    if partition.stability:
        low, high = partition.stability["adjusted_rand_95_percent"]
        middle = partition.stability["adjusted_rand_median"]
        console.print(
            f"stability: adjusted Rand index {middle:.2f} (95 % of resamples: {low:.2f} to {high:.2f})"
        )
    console.print(f"written: {job.out}")


if __name__ == "__main__":
    app()
