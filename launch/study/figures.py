"""Pictures of a study: learning curves with intervals over seeds, and the performance profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.statistics import bootstrap, performance_profile
from launch.pictures import figure_of, png_of
from launch.report_data import curves
from launch.study.scores import Score

# What a line looks like: colour, then dashes.
_DASHES = ("-", "--", ":")
# Paul Tol's "bright" scheme, distinguishable for colour-blind readers; baselines are grey.
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
_GREYS = ("#222222", "#666666", "#999999", "#bbbbbb", "#dddddd")
_WIDE = 5.0  # ratio of losses from which an axis is logarithmic

Float64 = NDArray[np.float64]


def training_curve(run_dir: Path) -> tuple[Float64, Float64] | None:
    """Return environment steps and the mean over agents of their episodes' mean return in training."""
    found = curves(run_dir, "rollout/ep_rew_mean")
    if not found:
        return None
    steps = np.array(sorted(set.intersection(*(set(curve.ticks) for curve in found))))
    values = [np.interp(steps, curve.ticks, curve.values) for curve in found]
    return steps, np.mean(values, axis=0)


def learning_curves(runs: Mapping[str, Sequence[Path]]) -> bytes | None:
    """Return a line per variant with its 95 % interval over seeds, or None if nothing was logged."""
    figure, axes = figure_of(7.0, 3.6)
    for index, (variant, folders) in enumerate(runs.items()):
        found = [
            curve for folder in folders if (curve := training_curve(folder)) is not None and len(curve[0])
        ]
        if not found:
            continue
        end = min(steps[-1] for steps, _ in found)
        steps = found[0][0][found[0][0] <= end]
        table = np.array([np.interp(steps, *curve) for curve in found])  # (seeds, points)
        colour, dashes = _look(_COLOURS, index)
        axes.plot(steps, table.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.4, label=variant)
        if len(found) > 1:
            bands = [bootstrap(column[:, None], _mean, draws=500) for column in table.T]
            axes.fill_between(
                steps, [b.low for b in bands], [b.high for b in bands], color=colour, alpha=0.2, linewidth=0
            )
    if not axes.lines:
        return None
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    if drawn.max() < 0 and drawn.min() < _WIDE * drawn.max():  # losses over decades: equal ratios look equal
        axes.set_yscale("symlog", linthresh=-drawn.max())
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return in training")
    axes.legend(frameon=False, fontsize=8)
    return png_of(figure)


def profile(scores: Sequence[Score]) -> bytes:
    """Return the share of runs and scenarios with a return above τ, over τ, a line per policy."""
    figure, axes = figure_of(7.0, 3.6)
    everything = np.concatenate([score.returns.ravel() for score in scores])
    # What is far below everything else, such as random control of a grid that it breaks, is cut off.
    middle, far = np.quantile(everything, [0.5, 0.25])
    low = max(everything.min(), middle - 8 * max(middle - far, 1e-12))
    levels = np.linspace(low, everything.max(), 200)
    learned = [score.policy for score in scores if score.variant]
    rules = [score.policy for score in scores if not score.variant]
    for score in scores:
        order, colours = (learned, _COLOURS) if score.variant else (rules, _GREYS)
        colour, dashes = _look(colours, order.index(score.policy))
        share, below, above = performance_profile(score.returns, levels)
        axes.plot(levels, share, color=colour, linestyle=dashes, linewidth=1.4, label=score.policy)
        axes.fill_between(levels, below, above, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("return τ")
    axes.set_ylabel("share with a return above τ")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8)
    return png_of(figure)


def cross_map(policies: Sequence[str], conditions: Sequence[str], losses: Float64) -> bytes:
    """Return a map of losses: rows what was trained, columns what it was evaluated under.

    Args:
        policies: names of the rows.
        conditions: names of the columns.
        losses: (policies, conditions), minus the return; NaN where there is none. The map shows each as a
            share of the smallest in its column.
    """
    figure, axes = figure_of(1.9 + 0.62 * len(conditions), 1.4 + 0.32 * len(policies))
    shares = losses / np.nanmin(losses, axis=0)
    axes.imshow(np.log(shares), cmap="YlOrRd", aspect="auto", vmin=0.0, vmax=np.log(3.0))
    for row, column in np.argwhere(np.isfinite(shares)):
        share = shares[row, column]
        colour = "white" if share > 2.0 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(conditions)), conditions, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(policies)), policies, fontsize=7)
    axes.set_xlabel("evaluated under")
    axes.set_ylabel("trained under")
    axes.set_title("loss over the smallest in the column", fontsize=9)
    return png_of(figure)


def _look(colours: Sequence[str], index: int) -> tuple[str, str]:
    """Return colour and dashes of the n-th line."""
    rounds, place = divmod(index, len(colours))
    return colours[place], _DASHES[rounds % len(_DASHES)]


def _mean(values: Float64) -> float:
    return float(np.mean(values))
