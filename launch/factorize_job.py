"""The work behind `chorus factorize`: samples, matrix, partition, pictures, in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from factorization.atomic import write_arrays, write_bytes
from factorization.errors import OutputError, SettingError
from factorization.matrix import InformationMatrix, MatrixSettings, compute_matrix, save_matrix
from factorization.partition import Partition
from factorization.pictures import draw_graph, draw_grid, draw_matrix, draw_stability, write_picture
from factorization.pipeline import GroupingSettings, find_edges, make_partition
from factorization.report import write_report
from factorization.samples import Samples, Variable
from factorization.stability import Resampling, Stability, resample
from launch.factorize_sources import (
    GRID2OP,
    Source,
    nearest_controllable,
    partition_without_samples,
    read_source,
)
from simulator.transmission.sampling import grid_map

WITHOUT_SAMPLES = ("distance", "random", "published")
Progress = Callable[[str, int, int], None]  # (step, done, in all)


@dataclass(frozen=True)
class Job:
    """What `chorus factorize` was asked for."""

    env: str
    out: Path
    n_samples: int = 50_000
    seed: int = 0
    jobs: int = 2
    test: bool = True
    labels: tuple[str, ...] = ()
    method: str = "bicluster"
    matrix: MatrixSettings = field(default_factory=MatrixSettings)
    grouping: GroupingSettings = field(default_factory=GroupingSettings)
    resamples: int = 10
    resampling: Resampling = "half"
    command: str = ""

    @property
    def folder(self) -> Path:
        """Return where samples, matrix, pictures and report go."""
        return self.out.with_suffix("")


def run(job: Job, progress: Progress) -> Partition:
    """Do the job and write its results.

    Returns:
        The partition, as written to `job.out`.

    Raises:
        FactorizationError, SimulatorError: with what is wrong and what to do.
    """
    if job.out.suffix != ".json":
        msg = f"{job.out}: a partition is a JSON file; give a name that ends in .json"
        raise SettingError(msg)
    if not job.out.parent.is_dir() or job.out.is_dir():
        msg = f"--out {job.out}: cannot be written; choose a file in a folder that is there and yours"
        raise OutputError(msg)
    _require_writable(job.folder)
    if job.method in WITHOUT_SAMPLES:
        partition = partition_without_samples(
            job.env, job.method, job.grouping.n_clusters, job.seed, job.test
        )
        partition.write(job.out)
        return partition
    source = _samples(job, progress)
    matrix = compute_matrix(
        source.samples,
        job.matrix,
        job.folder / "checkpoint.npz",
        lambda a, b: progress("mutual information", a, b),
    )
    save_matrix(matrix, job.folder / "matrix.npz")
    stability = None
    if job.resamples:
        stability = resample(
            source.samples,
            matrix,
            job.grouping,
            job.resamples,
            job.resampling,
            lambda a, b: progress("resamples", a, b),
        )
    summary = stability.summary() if stability else {}
    about = {"command": job.command, "seed": job.seed, "versions": _versions()}
    partition = make_partition(matrix, job.grouping, source.extra, summary, about)
    partition.write(job.out)
    _draw(job, matrix, partition, stability, source)
    return partition


def _versions() -> dict[str, str]:
    names = ("grid2op", "lightsim2grid", "numpy", "scikit-learn")
    return {name: version(name) for name in names}


def _samples(job: Job, progress: Progress) -> Source:
    """Return the samples, from an earlier run of the same job if it left them behind."""
    path = job.folder / "samples.npz"
    key = f"{job.env} n={job.n_samples} seed={job.seed} test={job.test}"
    if path.exists() and job.env.startswith(GRID2OP):
        with np.load(path, allow_pickle=False) as saved:
            if str(saved["key"]) == key:
                return _restored(job, saved["inputs"], saved["before"], saved["after"])
    source = read_source(
        job.env,
        job.n_samples,
        job.seed,
        job.jobs if job.jobs > 1 else 0,
        job.test,
        job.labels,
        lambda a, b: progress("samples", a, b),
    )
    if job.env.startswith(GRID2OP):
        inputs = np.array([v.id for v in source.samples.inputs])
        after = source.samples.after.astype(np.float32)
        write_arrays(path, key=np.array(key), inputs=inputs, before=source.samples.before, after=after)
    return source


def _restored(job: Job, inputs: np.ndarray, before: np.ndarray, after: np.ndarray) -> Source:
    grid = grid_map(job.env.removeprefix(GRID2OP), job.test)
    substations = tuple(Variable("substation", int(i)) for i in inputs)
    lines = tuple(Variable("line", i) for i in range(after.shape[1]))
    samples = Samples(job.env, substations, lines, before, after.astype(np.float64), frozenset(substations))
    return Source(samples, nearest_controllable(grid), grid)


def _draw(
    job: Job, matrix: InformationMatrix, partition: Partition, stability: Stability | None, source: Source
) -> None:
    figures: dict[str, tuple[str, Figure]] = {
        "matrix.png": ("Mutual information", draw_matrix(matrix, partition)),
        "graph.png": ("Dependence graph", draw_graph(matrix, find_edges(matrix, job.grouping), partition)),
    }
    grid = source.map
    if grid is not None and np.isfinite(grid.layout).all():
        figures["grid.png"] = ("The grid and its clusters", draw_grid(partition, grid.layout, grid.line_ends))
    if stability is not None:
        figures["stability.png"] = ("Stability", draw_stability(stability.scores))
    for name, (_, figure) in figures.items():
        write_picture(figure, job.folder / name)
    write_report(job.folder / "report.html", partition, dict(figures.values()))


def _require_writable(folder: Path) -> None:
    """Find out before hours of work that results cannot be written. Raises OutputError."""
    probe = folder / ".writable"
    try:
        write_bytes(probe, b"")
        probe.unlink()
    except FileNotFoundError as error:
        msg = f"{folder}: cannot be written to ({error.strerror})"
        raise OutputError(msg) from error
