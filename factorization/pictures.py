"""Pictures of a factorization: its matrix, its graph, its grid, and its stability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from factorization.atomic import write_bytes
from factorization.matrix import InformationMatrix
from factorization.partition import Partition
from factorization.samples import Variable

Bool = NDArray[np.bool_]

# Okabe and Ito 2008: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")

_BLANK = {"boxstyle": "round,pad=0.15", "color": "white"}


def colour(cluster: int) -> str:
    """Return the colour of a cluster."""
    return COLOURS[cluster % len(COLOURS)]


def draw_matrix(matrix: InformationMatrix, partition: Partition) -> Figure:
    """Return the matrix as heat map, as it came and with the clusters as blocks along the diagonal."""
    rows = np.argsort(partition.labels(matrix.targets), kind="stable")
    columns = np.argsort(partition.labels(matrix.inputs), kind="stable")
    size = (2.5 + 0.7 * len(matrix.inputs), 1.5 + 0.24 * len(matrix.targets))
    figure = Figure(figsize=(max(size[0], 8.0), max(size[1], 3.2)), layout="constrained")
    plots = figure.subplots(1, 2)
    for plot, (i, j, title) in zip(
        plots,
        (
            (np.arange(len(rows)), np.arange(len(columns)), "as measured"),
            (rows, columns, "ordered by cluster"),
        ),
        strict=True,
    ):
        image = plot.imshow(np.maximum(matrix.net, 0)[np.ix_(i, j)], cmap="viridis", aspect="auto")
        plot.set_xticks(range(len(j)), [str(matrix.inputs[n]) for n in j], rotation=90, fontsize=7)
        plot.set_yticks(range(len(i)), [str(matrix.targets[n]) for n in i], fontsize=7)
        plot.set_title(title)
    _frame_blocks(plots[1], partition, matrix, rows, columns)
    figure.colorbar(image, ax=plots, label="mutual information less bias (nats)")
    return figure


def _frame_blocks(
    plot: Any, partition: Partition, matrix: InformationMatrix, rows: Any, columns: Any
) -> None:
    row_labels = np.array(partition.labels(matrix.targets))[rows]
    column_labels = np.array(partition.labels(matrix.inputs))[columns]
    for number in range(len(partition.clusters)):
        i, j = np.flatnonzero(row_labels == number), np.flatnonzero(column_labels == number)
        if len(i) and len(j):
            corners = (j[0] - 0.5, j[-1] + 0.5, i[0] - 0.5, i[-1] + 0.5)
            left, right, top, bottom = corners
            plot.plot(
                [left, right, right, left, left], [top, top, bottom, bottom, top], color="white", lw=1.5
            )


def draw_graph(matrix: InformationMatrix, edges: Bool, partition: Partition) -> Figure:
    """Return the dependence graph: inputs left, targets right, edges as thick as their value."""
    figure = Figure(figsize=(7.0, max(3.0, 0.26 * max(matrix.net.shape))), layout="constrained")
    plot = figure.subplots()
    inputs, targets = list(matrix.inputs), list(matrix.targets)
    order_in = np.argsort(partition.labels(inputs), kind="stable")
    order_out = np.argsort(partition.labels(targets), kind="stable")
    height = {("in", int(j)): _spread(n, len(inputs)) for n, j in enumerate(order_in)}
    height |= {("out", int(i)): _spread(n, len(targets)) for n, i in enumerate(order_out)}
    strongest = max(float(matrix.net.max()), 1e-12)
    cluster = dict(zip([*inputs, *targets], partition.labels([*inputs, *targets]), strict=True))
    for i, j in zip(*np.nonzero(edges), strict=True):
        same = cluster[targets[i]] == cluster[inputs[j]]
        strength = float(matrix.net[i, j]) / strongest
        plot.plot(
            [0, 1],
            [height["in", int(j)], height["out", int(i)]],
            color=colour(cluster[inputs[j]]) if same else "0.55",
            lw=0.4 + 3.5 * strength,
            alpha=0.35 + 0.6 * strength,
            zorder=1,
        )
    for side, x, variables, align in (("in", 0.0, inputs, "right"), ("out", 1.0, targets, "left")):
        for n, variable in enumerate(variables):
            plot.plot(x, height[side, n], "o", color=colour(cluster[variable]), zorder=2)
            plot.text(
                x + (-0.03 if x == 0 else 0.03),
                height[side, n],
                str(variable),
                ha=align,
                va="center",
                fontsize=7,
            )
    plot.set_xlim(-0.35, 1.35)
    plot.set_title("who informs about whom (grey: edges between clusters)", fontsize=9)
    plot.axis("off")
    return figure


def _spread(n: int, size: int) -> float:
    return 1.0 - (n + 0.5) / size


def draw_grid(partition: Partition, layout: NDArray[np.float64], line_ends: NDArray[np.int64]) -> Figure:
    """Return the one-line diagram with substations and lines in the colours of their clusters.

    Args:
        partition: with variables of the kinds `substation` and `line`.
        layout: (n_substation, 2) positions.
        line_ends: (n_line, 2) substations that each line joins.
    """
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    plot = figure.subplots()
    home = {v: i for i, c in enumerate(partition.clusters) for v in c.variables}
    shades = [to_hex(colour(home.get(Variable("line", i), 7))) for i in range(len(line_ends))]
    plot.add_collection(LineCollection([layout[ends] for ends in line_ends], colors=shades, linewidths=2.2))
    for line, (a, b) in enumerate(line_ends):
        x, y = layout[[a, b]].mean(axis=0)
        plot.text(x, y, str(line), fontsize=6, color=shades[line], ha="center", va="center", bbox=_BLANK)
    for substation, (x, y) in enumerate(layout):
        shade = colour(home.get(Variable("substation", substation), 7))
        plot.plot(x, y, "o", ms=15, color=shade, zorder=3)
        plot.text(x, y, str(substation), color="white", fontsize=8, ha="center", va="center", zorder=4)
    for number, cluster in enumerate(partition.clusters):
        plot.plot([], [], "o", color=colour(number), label=cluster.name)
    plot.legend(fontsize=7, loc="best")
    plot.autoscale_view()
    plot.axis("off")
    return figure


def draw_stability(scores: Sequence[float]) -> Figure:
    """Return the histogram of the adjusted Rand indices of bootstrap resamples."""
    figure = Figure(figsize=(5.0, 3.0), layout="constrained")
    plot = figure.subplots()
    plot.hist(scores, bins=np.linspace(-0.1, 1.0, 23).tolist(), color=COLOURS[0])
    plot.set_xlabel("adjusted Rand index against the partition of all samples")
    plot.set_ylabel(f"resamples (of {len(scores)})")
    return figure


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG. Raises OutputError."""
    write_bytes(path, png(figure))


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Return a figure as PNG."""
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
