"""PI-AGC for the frequency grid: what a control room runs today, as one small controller per unit.

Automatic generation control: the area control error ACE = B Δf (one area, no ties) goes through a PI
controller, and its output in MW is shared among the units by participation factors (P. Kundur, Power
System Stability and Control, 1994, section 11.1.6). The mean Δf is in every observation, so each unit
computes its own share, and all arrive at the same total. Gains are given on Δf, that is with the bias
B multiplied in: kp in MW/Hz, ki in MW/(Hz s). The forecast of the renewables can be fed forward: what the
fleet does now was forecast a minute ago.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agents.description import GridView
from agents.errors import SettingsError

RAMP_MW_PER_MIN = {"battery": 50.0, "gas": 10.0, "dr": 5.0}
RANGE_MW = {"battery": (0.0, 100.0), "gas": (50.0, 500.0), "dr": (-200.0, 0.0)}
DF_HZ, OUTPUT_MW = 0.1, 100.0  # scales of the feature `mean_df`, and of outputs and forecasts
LINK_TICKS = 2  # how late measurements usually are

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Gains:
    """Gains of PI-AGC, and who takes part."""

    kp: float  # MW/Hz
    ki: float  # MW/(Hz s)
    participants: Literal["all", "fast"] = "all"  # fast: batteries and demand response, no gas plants
    feedforward: float = 0.0  # share of the renewables' forecast change that is taken over at once


USUAL = Gains(kp=100.0, ki=20.0)
TUNED = Gains(kp=25.0, ki=40.0)  # by `python benchmarks/frequency68_calibration.py --search`, two ticks late
FORECAST = Gains(kp=25.0, ki=40.0, participants="fast", feedforward=0.95)  # likewise, `--search forecast`


class PiAgc:
    """PI-AGC of the units that one agent runs, in E copies.

    A unit follows target = share · (−kp Δf − ki ∫Δf dt − feedforward · renewables) from its first observed
    output at its ramp; the renewables' change is what the forecast said a minute before.
    Anti-windup: while a unit cannot follow (its ramp or its range is exhausted), its integral does not
    go further in that direction (conditional integration; K. Åström and L. Rundqwist, Integrator windup
    and how to avoid it, ACC 1989).

    Args:
        units: names of the agent's units, as `battery_33`, in the order of its action.
        all_units: names of all units of the grid; they share by ramp rate.
        features: names of the observation's features.
        dt_s: length of a tick, s.
        gains: kp, ki and who takes part.

    Raises:
        SettingsError: the kind of a unit or a needed feature is not known.
    """

    def __init__(
        self,
        units: Sequence[str],
        all_units: Sequence[str],
        features: Sequence[str],
        dt_s: float,
        gains: Gains = TUNED,
    ) -> None:
        taking_part = {name: _participation(name, gains) for name in (*all_units, *units)}
        whole = sum(taking_part[name] for name in set(all_units))
        self.share = np.array([taking_part[name] / whole for name in units])  # (n_unit,)
        self._gains, self._dt_s = gains, dt_s
        self._ramp_mw = np.array([RAMP_MW_PER_MIN[_kind(name)] for name in units]) * dt_s / 60.0
        self._low, self._high = np.array([RANGE_MW[_kind(name)] for name in units]).T
        self._df = _columns("mean_df", units, features)
        self._output = _columns("own_output", units, features)
        self._renewables = (
            _Lagged(_columns("renewable_forecast_1min", units, features), dt_s) if gains.feedforward else None
        )
        self._integral: Rows | None = None  # (E, n_unit) Hz s
        self._position = np.zeros((0, len(units)))  # (E, n_unit) MW, where the commands have brought it
        self._start = np.zeros((0, len(units)))  # (E, n_unit) MW

    def act(
        self,
        obs: NDArray[np.float32],
        mask: NDArray[np.bool_] | None = None,  # noqa: ARG002
        starts: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Return (E, n_unit) actions in [-1, 1].

        Args:
            obs: (E, n_features).
            mask: not used.
            starts: (E,), True where an episode begins with this observation; None: nowhere but first.
        """
        df_hz = obs[:, self._df].astype(np.float64) * DF_HZ
        integral = self._begun(obs[:, self._output].astype(np.float64) * OUTPUT_MW, starts)
        total = -self._gains.kp * df_hz - self._gains.ki * (integral + df_hz * self._dt_s)
        if self._renewables is not None:
            total -= self._gains.feedforward * self._renewables.now(obs, starts)
        wanted = self._start + self.share * total - self._position
        within_ramp = np.clip(wanted, -self._ramp_mw, self._ramp_mw)
        move = np.clip(within_ramp, self._low - self._position, self._high - self._position)
        winding = (np.abs(wanted) > np.abs(move)) & (wanted * df_hz < 0)
        self._integral = integral + np.where(winding, 0.0, df_hz * self._dt_s)
        self._position += move
        return np.clip(move / self._ramp_mw, -1.0, 1.0).astype(np.float32)

    def _begun(self, output_mw: Rows, starts: NDArray[np.bool_] | None) -> Rows:
        """Start afresh where an episode begins; return the integral."""
        if self._integral is None:
            self._position, self._start = output_mw.copy(), output_mw.copy()
            return np.zeros_like(output_mw)
        if starts is not None:
            self._integral[starts] = 0.0
            self._position[starts] = self._start[starts] = output_mw[starts]
        return self._integral


class _Lagged:
    """What the renewables do now, MW from their schedule, by the forecasts for one minute ahead.

    A forecast is shown when the link has brought it, and a command made of it acts in the next tick. An
    episode begins on schedule; what lies before its first forecast is taken as on the way there.
    """

    def __init__(self, columns: Sequence[int], dt_s: float) -> None:
        self._columns = list(columns)
        self._ticks = round(60.0 / dt_s) - 1 - LINK_TICKS
        self._seen = np.zeros((self._ticks + 1, 0, len(columns)))  # (ticks + 1, E, n_unit) MW, newest last

    def now(self, obs: NDArray[np.float32], starts: NDArray[np.bool_] | None) -> Rows:
        """Return (E, n_unit) MW; to be called once per tick."""
        newest = obs[:, self._columns].astype(np.float64) * OUTPUT_MW
        begins = np.zeros(len(obs), np.bool_) if starts is None else starts
        if self._seen.shape[1] != len(obs):
            self._seen = np.zeros((self._ticks + 1, *newest.shape))
            begins = np.ones(len(obs), np.bool_)
        self._seen[:-1] = self._seen[1:]
        self._seen[-1] = newest
        self._seen[:, begins] = np.linspace(0.0, 1.0, self._ticks + 1)[:, None, None] * newest[begins]
        oldest: Rows = self._seen[0]
        return oldest


def pi_agc(view: GridView, gains: Gains = TUNED) -> PiAgc:
    """Return PI-AGC for the agent of this view, its units and all units read from the description.

    Raises:
        SettingsError: it is not an agent of the frequency grid.
    """
    units = [name.removeprefix("ramp_") for name in view.action_names]
    all_units = list(view.agents)
    if view.partition:
        clusters = json.loads(view.partition)["clusters"]
        all_units = [str(unit) for cluster in clusters for unit in cluster["variables"].get("agent", ())]
    return PiAgc(units, all_units, view.feature_names, view.dt_s, gains)


def _columns(name: str, units: Sequence[str], features: Sequence[str]) -> list[int]:
    wanted = [name] if len(units) == 1 else [f"{unit}/{name}" for unit in units]
    missing = [feature for feature in wanted if feature not in features]
    if missing:
        msg = (
            f"baseline 'pi_agc' for {list(units)}: features {missing} are not observed; "
            "use it on the grid frequency68"
        )
        raise SettingsError(msg)
    return [features.index(feature) for feature in wanted]


def _kind(unit: str) -> str:
    kind = unit.partition("_")[0]
    if kind not in RAMP_MW_PER_MIN:
        msg = (
            f"baseline 'pi_agc': unit {unit} is of no known kind, expected "
            f"{sorted(RAMP_MW_PER_MIN)}; use it on the grid frequency68"
        )
        raise SettingsError(msg)
    return kind


def _participation(unit: str, gains: Gains) -> float:
    kind = _kind(unit)
    return 0.0 if gains.participants == "fast" and kind == "gas" else RAMP_MW_PER_MIN[kind]
