"""Draw the pictures of docs/frequency68.md.

python benchmarks/frequency68_pictures.py [--folder docs/pictures]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from frequency68_calibration import pi_agc
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import simulator
from agents.baselines_frequency import TUNED
from simulator.frequency import case68, dynamics
from simulator.frequency.grid import FrequencyGrid


def episode(path: Path) -> None:
    """Draw one episode under PI-AGC."""
    world = simulator.make("frequency68", n_envs=1, seed=3, contingency_rate=0.003)
    frame, act = world.reset(), pi_agc(TUNED)(world.spec)
    for _ in range(500):
        frame = world.step(act(frame))
    assert isinstance(world.grid, FrequencyGrid)
    path.write_bytes(world.grid.render())


def load_step(path: Path, bus: int = 16, mw: float = 100.0) -> None:
    """Draw all buses after a load step, with both flows, and where the droop says they settle."""
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    time = 0.02 * np.arange(1, 1501)
    for flow, colour in (("linear", "tab:blue"), ("sine", "tab:red")):
        system = case68.system(flow=flow)
        state, hz = dynamics.init(system, 1), []
        p_bus = np.zeros((1, system.n_bus))
        p_bus[0, bus - 1] = -mw
        for _ in time:
            state = dynamics.step(system, state, p_bus, 0.02)
            hz.append(dynamics.bus_frequency(system, state)[0])
        axes.plot(time, hz, color=colour, linewidth=0.25, alpha=0.3)
        axes.plot(time, np.mean(hz, axis=1), color=colour, linewidth=1.2, label=f"{flow} flow, mean of buses")
    stiffness_mw = (system.governor_gain.sum() + system.damping.sum()) * system.base_mva / system.nominal_hz
    axes.axhline(
        system.nominal_hz - mw / stiffness_mw, color="black", linestyle="--", linewidth=0.8, label="droop"
    )
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)", title=f"{mw:g} MW more load at bus {bus}")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    folder = parser.parse_args().folder
    episode(folder / "frequency68_agc.png")
    load_step(folder / "frequency68_step.png")
    print(f"wrote frequency68_agc.png and frequency68_step.png to {folder}")


if __name__ == "__main__":
    main()
