"""What happens to the grid: loads and renewables that wander, fleet ramps, contingencies, forecasts.

Every copy has a random stream of its own, and every episode of a copy one that follows from (seed,
copy, episode) alone; nothing an agent does changes what happens. Ornstein-Uhlenbeck processes are
advanced exactly: x ← a x + σ √(1 − a²) n with a = exp(−dt/τ) (D. Gillespie, Phys. Rev. E 54, 1996,
eq. 1.9), and start at zero, that is on the schedule.
"""

from __future__ import annotations

import numpy as np

from simulator.frequency.network import safe_branches
from simulator.frequency.options import Options
from simulator.frequency.types import Bool, Fleet, Float, Index, System

TAU_S = 300.0  # correlation time of loads, renewables and forecast errors
FORECAST_STEPS = 5  # of one minute each
FORECAST_STEP_S = 60.0
FORECAST_CORRELATION = 0.8  # of the relative errors of neighbouring forecast steps
RENEWABLE_MEAN_MW = (30.0, 70.0)  # each, drawn per episode; at the default share
RENEWABLE_MAX_MW = 100.0
NOMINAL_FLEET_MW = 700.0  # mean output of the 68-bus grid's 14 renewables, for which ramp events are made
FLEET_LIMIT_MW = 300.0  # ramp events keep that fleet within this of its mean
_BLOCK = 32  # ticks of noise drawn at once for one copy
_FOREVER = np.iinfo(np.int64).max


class Disturbances:
    """The surroundings of E copies, tick by tick.

    Attributes:
        tick: (E,) ticks since the episode began.
        load_mw: (E, n_bus) demand, MW, after what a contingency took away.
        renewable_mw: (E, n_renewable) output, MW.
        renewable_mean_mw: (E, n_renewable) scheduled output, MW.
        forecast_mw: (E, 5) forecast of the fleet's ramp 1 to 5 minutes ahead, MW from its mean.
        machine_lost_mw: (E, n_machine) mechanical power that a contingency took away, MW.
        branch_out: (E,) open branch, -1 for none.
        hour: (E,) hour of the day, 0 to 24.
        day: (E,) day of the week, 0 to 6.
    """

    def __init__(
        self,
        system: System,
        fleet: Fleet,
        options: Options,
        n_envs: int,
        dt_s: float,
        copies_per_scenario: int = 1,
    ) -> None:
        self._options, self._dt_s, self._n_envs = options, dt_s, n_envs
        self._copies_per_scenario = copies_per_scenario
        self._schedule = system.load_mw
        n_bus, n_ren = system.n_bus, len(fleet.renewable_bus)
        mean = float(np.mean(RENEWABLE_MEAN_MW)) * n_ren
        fleet_mw = options.renewable_share * float(system.load_mw.sum()) if n_ren else 0.0
        self.renewable_scale = fleet_mw / max(mean, 1.0)
        self._ramp_scale = fleet_mw / NOMINAL_FLEET_MW
        self._parts = np.cumsum([n_bus, 1, n_ren, FORECAST_STEPS])
        self._decay = float(np.exp(-dt_s / TAU_S))
        self._lead = np.rint(FORECAST_STEP_S / dt_s * np.arange(1, FORECAST_STEPS + 1)).astype(np.int64)
        self._targets = _targets(system, fleet, options)
        self._noise = np.zeros((n_envs, _BLOCK, int(self._parts[-1])))
        self._chance = np.ones((n_envs, _BLOCK, 4))
        self._cursor = np.zeros(n_envs, np.int64)
        self._wander = np.zeros((n_envs, int(self._parts[-1])))  # unit OU processes
        self._slope = np.zeros(n_envs)  # of the load trend, share of the schedule per tick
        self._ramp = np.zeros((n_envs, options.episode_ticks + int(self._lead[-1]) + 1))
        self._start_hour = np.zeros(n_envs)
        self._start_day = np.zeros(n_envs, np.int64)
        self._rng: list[np.random.Generator] = []
        self.tick = np.zeros(n_envs, np.int64)
        self.renewable_mean_mw = np.zeros((n_envs, n_ren))
        self.machine_lost_mw = np.zeros((n_envs, system.n_machine))
        self._load_lost_mw = np.zeros((n_envs, n_bus))
        self.branch_out = np.full(n_envs, -1, np.int64)
        self._machine_until = np.full((n_envs, system.n_machine), _FOREVER)
        self._load_until = np.full((n_envs, n_bus), _FOREVER)
        self._branch_until = np.full(n_envs, _FOREVER)
        self._refresh()

    @property
    def active(self) -> Index:
        """Return (E,): how many contingencies are in force."""
        count: Index = (self._machine_until < _FOREVER).sum(1) + (self._load_until < _FOREVER).sum(1)
        return count + (self.branch_out >= 0)

    def start(self, copies: Bool, seed: int, episode: Index) -> None:
        """Begin new episodes in some copies.

        Args:
            copies: (E,) which.
            seed: of the whole grid.
            episode: (E,) number of the episode each copy begins.
        """
        if not self._rng:
            self._rng = [np.random.default_rng(0)] * self._n_envs
        for e in np.flatnonzero(copies):
            key = (int(e) // self._copies_per_scenario, int(episode[e]))
            self._rng[e] = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
            self._start_copy(int(e), self._rng[e])
        self._refresh()

    def advance(self) -> None:
        """Go on by one tick: new noise, repairs, perhaps a contingency."""
        for e in np.flatnonzero(self._cursor == _BLOCK):
            self._draw_block(int(e))
        now = (np.arange(self._n_envs), self._cursor)
        self._wander *= self._decay
        self._wander += np.sqrt(1.0 - self._decay**2) * self._noise[now]
        chance = self._chance[now]
        self._cursor += 1
        self.tick += 1
        self._repair()
        for e in np.flatnonzero(chance[:, 0] < self._options.contingency_rate):
            self._strike(int(e), chance[e])
        self._refresh()

    def _start_copy(self, e: int, rng: np.random.Generator) -> None:
        options = self._options
        self.tick[e] = 0
        self._wander[e] = 0.0
        self._wander[e, self._parts[2] :] = rng.standard_normal(FORECAST_STEPS)
        self._slope[e] = rng.standard_normal() * options.trend_sigma * self._dt_s / 1000.0
        n_ren = self.renewable_mean_mw.shape[1]
        self.renewable_mean_mw[e] = rng.uniform(*RENEWABLE_MEAN_MW, n_ren) * self.renewable_scale
        self._start_hour[e] = rng.uniform(0.0, 24.0)
        self._start_day[e] = rng.integers(7)
        self._ramp[e] = ramp_path(rng, options, self._ramp.shape[1], self._dt_s) * self._ramp_scale
        self.machine_lost_mw[e], self._machine_until[e] = 0.0, _FOREVER
        self._load_lost_mw[e], self._load_until[e] = 0.0, _FOREVER
        self.branch_out[e], self._branch_until[e] = -1, _FOREVER
        self._draw_block(e)

    def _draw_block(self, e: int) -> None:
        self._rng[e].standard_normal(out=self._noise[e])
        self._rng[e].random(out=self._chance[e])
        self._cursor[e] = 0

    def _repair(self) -> None:
        due = self._machine_until <= self.tick[:, None]
        if due.any():
            self.machine_lost_mw[due], self._machine_until[due] = 0.0, _FOREVER
        due = self._load_until <= self.tick[:, None]
        if due.any():
            self._load_lost_mw[due], self._load_until[due] = 0.0, _FOREVER
        due = self._branch_until <= self.tick
        self.branch_out[due], self._branch_until[due] = -1, _FOREVER

    def _strike(self, e: int, chance: Float) -> None:
        """Begin a contingency, unless what it would hit is out already."""
        if not self._targets:
            return
        place, kind = np.modf(chance[1] * len(self._targets))
        name, candidates = self._targets[int(kind)]
        target = int(candidates[int(place * len(candidates))])
        low, high = self._options.contingency_mw
        amount = low + (high - low) * chance[2]
        first, last = self._options.repair_s
        until = self.tick[e] + int(np.ceil((first + (last - first) * chance[3]) / self._dt_s))
        if name == "machine" and self._machine_until[e, target] == _FOREVER:
            self.machine_lost_mw[e, target], self._machine_until[e, target] = amount, until
        elif name == "load" and self._load_until[e, target] == _FOREVER:
            lost = min(amount, self._schedule[target])
            self._load_lost_mw[e, target], self._load_until[e, target] = lost, until
        elif name == "branch" and self.branch_out[e] < 0:
            self.branch_out[e], self._branch_until[e] = target, until

    def _refresh(self) -> None:
        """Turn the processes into what the grid feels now."""
        options, (a, b, c, _) = self._options, self._parts
        own, common, ren, errors = np.split(self._wander, (a, b, c), axis=1)
        trend = (self._slope * self.tick)[:, None]
        relative = 1.0 + options.load_sigma * own + options.common_sigma * common + trend
        self.load_mw = np.maximum(self._schedule * relative - self._load_lost_mw, 0.0)
        rows = np.arange(self._n_envs)
        n_ren = max(ren.shape[1], 1)
        scale, each = self.renewable_scale, self._ramp[rows, self.tick][:, None] / n_ren
        output = self.renewable_mean_mw + options.renewable_sigma_mw * scale * ren + each
        self.renewable_mw = np.clip(output, 0.0, RENEWABLE_MAX_MW * scale)
        ahead = self._ramp[rows[:, None], self.tick[:, None] + self._lead]
        self.forecast_mw = ahead * (1.0 + options.forecast_error * _chained(errors))
        elapsed = self._start_hour + self.tick * self._dt_s / 3600.0
        self.hour = elapsed % 24.0
        self.day = (self._start_day + (elapsed // 24.0).astype(np.int64)) % 7


def ramp_path(rng: np.random.Generator, options: Options, n_ticks: int, dt_s: float) -> Float:
    """Return (n_ticks,): the fleet's ramp in MW from its mean, smooth half-cosine steps one after another.

    Events come as a Poisson process; what of an event would lead beyond ±300 MW is cut off.
    """
    time, path = np.arange(n_ticks) * dt_s, np.zeros(n_ticks)
    if options.ramps_per_hour == 0.0:
        return path
    mean_gap_s = 3600.0 / options.ramps_per_hour
    start, total = rng.exponential(mean_gap_s), 0.0
    while start < time[-1]:
        wanted = total + rng.uniform(*options.ramp_mw) * rng.choice((-1.0, 1.0))
        size = float(np.clip(wanted, -FLEET_LIMIT_MW, FLEET_LIMIT_MW)) - total
        progress = np.clip((time - start) / rng.uniform(*options.ramp_s), 0.0, 1.0)
        path += size * 0.5 * (1.0 - np.cos(np.pi * progress))
        total += size
        start += rng.exponential(mean_gap_s)
    return np.clip(path, -FLEET_LIMIT_MW, FLEET_LIMIT_MW)


def _chained(errors: Float) -> Float:
    """Correlate the unit errors of neighbouring forecast steps."""
    chained = errors.copy()
    for k in range(1, errors.shape[1]):
        own = np.sqrt(1.0 - FORECAST_CORRELATION**2) * errors[:, k]
        chained[:, k] = FORECAST_CORRELATION * chained[:, k - 1] + own
    return chained


def _targets(system: System, fleet: Fleet, options: Options) -> list[tuple[str, Index]]:
    """Return the kinds of contingency that can happen, each with what it can hit."""
    least = options.contingency_mw[0]
    others = np.setdiff1d(np.arange(system.n_machine), fleet.machine)
    found = {
        "machine": others[system.machine_mw[others] >= least],
        "branch": safe_branches(system.case),
        "load": np.flatnonzero(system.load_mw >= max(least, 1.0)),
    }
    return [(kind, found[kind]) for kind in dict.fromkeys(options.contingency_kinds) if len(found[kind])]
