"""Pictures of a run: learning curves, survival, and where the time went; each a PNG as bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from launch.report_data import KINDS, Curve, Score, Timing

_COLOURS = {
    "physics": "#4477aa",
    "acting": "#228833",
    "answering": "#66ccee",
    "messaging": "#ccbb44",
    "learning": "#ee6677",
    "waiting": "#dddddd",
}  # Paul Tol's "bright" scheme, distinguishable for colour-blind readers


def learning_curves(curves: Sequence[Curve], label: str) -> bytes:
    """Return a line per agent over its environment steps."""
    figure, axes = figure_of(7.0, 3.2)
    for curve in curves:
        axes.plot(curve.ticks, curve.values, label=curve.node, linewidth=1.4)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(label)
    if len(curves) <= 10:
        axes.legend(frameon=False, fontsize=8)
    return png_of(figure)


def survival(scores: Sequence[Score]) -> bytes:
    """Return a bar per policy: survived share with its 95 % interval."""
    figure, axes = figure_of(7.0, 0.6 + 0.45 * len(scores))
    names = [score.policy for score in scores]
    middle = [score.survived.value for score in scores]
    spread = [
        [max(0.0, s.survived.value - s.survived.low) for s in scores],
        [max(0.0, s.survived.high - s.survived.value) for s in scores],
    ]
    colours = ["#4477aa" if name.startswith("ensemble") else "#bbbbbb" for name in names]
    axes.barh(names, middle, xerr=spread, color=colours, error_kw={"linewidth": 1.0})
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05)
    axes.set_xlabel("survived share of the episodes")
    return png_of(figure)


def time_by_kind(timings: Sequence[Timing]) -> bytes:
    """Return a stacked bar per node: milliseconds per tick by kind of work."""
    figure, axes = figure_of(7.0, 0.8 + 0.35 * len(timings))
    names = [timing.node for timing in timings]
    left = [0.0] * len(timings)
    for kind in KINDS:
        widths = [timing.per_tick_ms(kind) for timing in timings]
        axes.barh(names, widths, left=left, color=_COLOURS[kind], label=kind)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds per tick")
    axes.legend(frameon=False, fontsize=8, ncols=len(KINDS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return png_of(figure)


def figure_of(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png_of(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
