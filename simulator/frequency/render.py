"""A picture of an episode: bus frequencies, outputs by kind, load, renewables, contingencies, reward."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from simulator.frequency.recorder import Episode
from simulator.frequency.reward import BAND_HZ, GOOD_HZ
from simulator.frequency.types import Fleet, Float, Kind, System

COLOURS = {Kind.BATTERY: "tab:blue", Kind.GAS: "tab:red", Kind.DR: "tab:green"}


def picture(system: System, fleet: Fleet, episode: Episode, dt_s: float) -> bytes:
    """Return a PNG of an episode; an empty one gives empty axes."""
    figure = Figure(figsize=(9.0, 9.0), layout="constrained")
    FigureCanvasAgg(figure)
    top, outputs, balance, rewards = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 2, 1))
    time = dt_s * np.arange(1, len(episode.reward) + 1)
    _frequencies(top, time, np.reshape(episode.bus_df_hz, (-1, system.n_bus)) + system.nominal_hz, system)
    changes = np.reshape(episode.output_mw, (-1, len(fleet.names)))
    for kind, colour in COLOURS.items():
        chosen = [i for i, k in enumerate(fleet.kind) if k == kind]
        outputs.plot(time, changes[:, chosen].sum(axis=1), color=colour, label=f"{kind} ({len(chosen)})")
    outputs.set_ylabel("output, change (MW)")
    balance.plot(time, np.array(episode.load_mw) - system.load_mw.sum(), color="black", label="load")
    balance.plot(time, episode.renewable_mw, color="tab:orange", label="renewables")
    balance.set_ylabel("change (MW)")
    rewards.plot(time, episode.reward, color="tab:purple", linewidth=0.8)
    rewards.set_yscale("symlog", linthresh=10.0)
    rewards.set(ylabel="reward", xlabel="time (s)")
    for axes in (top, outputs, balance, rewards):
        _mark_contingencies(axes, time, np.array(episode.contingencies), dt_s)
        axes.grid(alpha=0.3)
    outputs.legend(loc="upper left", ncols=3, fontsize="small")
    balance.legend(loc="upper left", ncols=2, fontsize="small")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _frequencies(axes: Axes, time: Float, bus_hz: Float, system: System) -> None:
    axes.plot(time, bus_hz, color="tab:blue", linewidth=0.4, alpha=0.4)
    axes.plot(time, bus_hz.mean(axis=1), color="black", linewidth=1.0)
    for edge in (-BAND_HZ, BAND_HZ):
        axes.axhline(system.nominal_hz + edge, color="tab:red", linewidth=0.8)
    axes.axhspan(system.nominal_hz - GOOD_HZ, system.nominal_hz + GOOD_HZ, color="tab:green", alpha=0.08)
    axes.set_ylabel("bus frequencies (Hz)")
    axes.set_title(
        f"{system.n_bus} buses; shaded: ±{GOOD_HZ} Hz; grey: contingency in force", fontsize="medium"
    )


def _mark_contingencies(axes: Axes, time: Float, active: Float, dt_s: float) -> None:
    edges = np.diff(np.concatenate([[0], active > 0, [0]]).astype(int))
    for first, last in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        axes.axvspan(time[first] - dt_s, time[last - 1], color="grey", alpha=0.2, linewidth=0)
