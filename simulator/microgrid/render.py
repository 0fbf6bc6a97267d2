"""A picture of an episode: the voltages of all buses and the band, setpoints, and frequency."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from simulator.microgrid.dynamics import bus_voltage
from simulator.microgrid.reward import BAND_PU
from simulator.microgrid.types import Float, State, System


@dataclass
class Episode:
    """What copy 0 goes through, tick by tick."""

    system: System
    tick_s: float
    v_bus: list[Float] = field(default_factory=list)  # per tick from 0: (n_bus,) pu
    frequency: list[float] = field(default_factory=list)  # per tick from 0: Hz, of DG 1
    v_setpoint: list[Float] = field(default_factory=list)  # per tick from 1: (n_dg,) V

    def add(self, state: State, v_setpoint: Float | None = None) -> None:
        """Add a tick: the state after it, and the setpoints (E, n_dg) that led there; None at the start."""
        omega = state.omega_set[0, 0] - self.system.control.m_p[0] * state.p[0, 0]
        self.v_bus.append(bus_voltage(self.system, state)[0])
        self.frequency.append(float(omega) / (2.0 * np.pi))
        if v_setpoint is not None:
            self.v_setpoint.append(v_setpoint[0].copy())


def picture(episode: Episode) -> bytes:
    """Return a PNG of an episode; an empty one gives empty axes."""
    time_s = np.arange(len(episode.v_bus)) * episode.tick_s
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    voltage, setpoint, frequency = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1))
    voltage.axhspan(*BAND_PU, color="tab:green", alpha=0.15, lw=0, label="band")
    voltage.plot(time_s, np.reshape(episode.v_bus, (-1, episode.system.n_bus)), lw=0.9)
    voltage.set_ylabel("bus voltage (pu)")
    voltage.set_title(f"{episode.system.name}: all {episode.system.n_bus} buses, copy 0", fontsize=10)
    voltage.legend(loc="lower right", fontsize=8)
    if episode.v_setpoint:
        held = np.array([*episode.v_setpoint, episode.v_setpoint[-1]])
        setpoint.step(time_s, held, where="post", lw=0.9)
    setpoint.set_ylabel("setpoint (V)")
    frequency.plot(time_s, episode.frequency, color="black", lw=0.9)
    frequency.set_ylabel("DG 1 (Hz)")
    frequency.set_xlabel("time (s)")
    for axes in (voltage, setpoint, frequency):
        axes.grid(alpha=0.3)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
