"""One SCADA channel: values arrive late, noisy, out of order or not at all.

Pure and seeded: everything happens in simulation time, and the same seed gives the same channel. All E
copies are handled at once; what happens in one copy never touches another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Bool, Float32
from simulator.link_config import ChannelConfig, Delay

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Delivery:
    """What the receiving end holds at one tick."""

    values: Float32  # (E, width)
    sent_tick: Int64  # (E,) tick at which the held values were sent
    fresh: Bool  # (E,) True where something arrived in this tick, or silence that means "unchanged"


@dataclass(frozen=True)
class Streams:
    """Where a channel's random numbers come from."""

    messages: np.random.SeedSequence  # drawn for every message
    episodes: np.random.SeedSequence  # drawn once per episode; channels that share it draw the same
    copies_per_scenario: int = 1  # neighbouring copies that share what is drawn once per episode

    def of_episode(self, copy: int, episode: int) -> np.random.Generator:
        """Return a generator that knows scenario and episode, and nothing of what was done in them."""
        key = (*self.episodes.spawn_key, copy // self.copies_per_scenario, episode)
        return np.random.default_rng(np.random.SeedSequence(self.episodes.entropy, spawn_key=key))


class Channel:
    """One direction of one agent's link: a row of values per tick and copy.

    Args:
        config: the settings.
        width: columns of a row.
        n_envs: E.
        dt_s: simulation time of a tick.
        streams: where everything random comes from.
        analog: leading columns that are measured quantities, subject to noise, quantum, deadband and
            zeros where nothing arrives; the rest (action masks) only travel along. None: all.
    """

    def __init__(
        self,
        config: ChannelConfig,
        width: int,
        n_envs: int,
        dt_s: float,
        streams: Streams,
        analog: int | None = None,
    ) -> None:
        self.config = config
        self._analog = width if analog is None else analog
        self._dt_s = dt_s
        self._streams = streams
        self._rng = np.random.default_rng(streams.messages)
        self._episode = np.zeros(n_envs, np.int64)  # episodes begun
        self._delay_of_episode = np.zeros(n_envs)  # ticks, where it is drawn once per episode
        self.max_ticks = _max_ticks(config.delay, dt_s)
        slots = self.max_ticks + 1
        self._values = np.zeros((slots, n_envs, width), np.float32)
        self._sent = np.full((slots, n_envs), -1, np.int64)
        self._arrival = np.full((slots, n_envs), np.inf)  # ticks; infinite where nothing is under way
        self._last_arrival = np.full(n_envs, -np.inf)
        self._reported = np.zeros((n_envs, width), np.float32)
        self._reported_tick = np.zeros(n_envs, np.int64)  # of the last row that the deadband let pass
        self._silence_of = np.full((slots, n_envs), -1, np.int64)  # reported tick that silence stands for
        self._silence_arrival = np.full((slots, n_envs), np.inf)  # ticks; infinite where there is none
        self._held = np.zeros((n_envs, width), np.float32)
        self._held_tick = np.zeros(n_envs, np.int64)
        self._fresh_tick = np.full(n_envs, -1, np.int64)  # when the held values arrived

    def prime(self, copies: Bool, values: Float32, tick: int | Int64) -> None:
        """Start an episode in some copies: nothing is under way, and both ends know `values`.

        Args:
            copies: (E,) which.
            values: (E, width).
            tick: at which the values were sent; (E,) where it differs.
        """
        sent = np.broadcast_to(tick, copies.shape)[copies]
        for arrival in (self._arrival, self._silence_arrival):
            arrival[:, copies] = np.inf
        self._last_arrival[copies] = -np.inf
        for known in (self._reported, self._held):
            known[copies] = values[copies]
        for known_tick in (self._reported_tick, self._held_tick, self._fresh_tick):
            known_tick[copies] = sent
        if self.config.delay.every == "episode":
            for copy in np.flatnonzero(copies):
                rng = self._streams.of_episode(int(copy), int(self._episode[copy]))
                self._delay_of_episode[copy] = self._draw_delay(1, rng)[0]
        self._episode[copies] += 1

    def send(self, values: Float32, tick: int, time_s: NDArray[np.float64]) -> None:
        """Put one row per copy on its way.

        Args:
            values: (E, width).
            tick: the current tick.
            time_s: (E,) time since the start of the episode, for outages.
        """
        report, moved = self._measure(values)
        lost = self._in_outage(time_s)
        if self.config.loss > 0:
            lost |= self._rng.random(lost.shape) < self.config.loss
        once = self.config.delay.every == "episode"
        arrival = tick + (self._delay_of_episode if once else self._draw_delay(len(lost), self._rng))
        gone = lost | ~moved
        if not self.config.reorder:
            arrival = np.maximum(arrival, self._last_arrival)
            self._last_arrival = np.where(gone, self._last_arrival, arrival)
        slot = tick % len(self._arrival)
        self._values[slot] = report
        self._sent[slot] = tick
        self._arrival[slot] = np.where(gone, np.inf, arrival)
        if self.config.deadband > 0:
            self._reported_tick[moved] = tick
            self._silence_of[slot] = self._reported_tick
            self._silence_arrival[slot] = np.where(lost | moved, np.inf, arrival)

    def receive(self, tick: int) -> Delivery:
        """Return what the receiving end holds now that everything due has arrived."""
        due = self._arrival <= tick
        # The last to arrive is believed; of those that arrive together, the newest.
        rank = np.where(due, self._arrival + self._sent * 1e-9, -np.inf)
        chosen = rank.argmax(axis=0)
        copies = np.flatnonzero(np.any(due, axis=0))
        self._held[copies] = self._values[chosen[copies], copies]
        self._held_tick[copies] = self._sent[chosen[copies], copies]
        self._fresh_tick[copies] = tick
        self._arrival[due] = np.inf
        if self.config.deadband > 0:
            self._hear_silence(tick)
        fresh = self._fresh_tick == tick
        values = self._held.copy()
        if self.config.on_missing == "default":
            values[~fresh, : self._analog] = 0.0
        return Delivery(values, self._held_tick.copy(), fresh)

    @property
    def in_flight_dim(self) -> int:
        """Return the number of columns of `in_flight`."""
        per_slot = self._analog + (self.config.delay.distribution != "none")
        return self.max_ticks * per_slot

    def in_flight(self, tick: int) -> Float32:
        """Return (E, in_flight_dim): what is still under way, newest first, zeros where nothing is.

        With a random delay the remaining time of each message (ticks) follows its values.
        """
        order = (tick - np.arange(self.max_ticks)) % len(self._arrival)
        pending = np.isfinite(self._arrival[order])  # (slots, E)
        columns = [np.where(pending[..., None], self._values[order, :, : self._analog], 0.0)]
        if self.config.delay.distribution != "none":
            columns.append(np.where(pending, self._arrival[order] - tick, 0.0)[..., None])
        table = np.concatenate(columns, axis=2)  # (slots, E, per_slot)
        return table.transpose(1, 0, 2).reshape(len(self._held), -1).astype(np.float32)

    @property
    def held(self) -> Float32:
        """Return (E, width): what arrived last, or what both ends knew from the start."""
        return self._held.copy()

    def _hear_silence(self, tick: int) -> None:
        """Take silence for "unchanged" where the report that it stands for, or a later one, has arrived."""
        due = self._silence_arrival <= tick
        self._fresh_tick[np.any(due & (self._silence_of <= self._held_tick), axis=0)] = tick
        self._silence_arrival[due] = np.inf

    def _measure(self, values: Float32) -> tuple[Float32, Bool]:
        """Return the reported row and whether it moved beyond the deadband."""
        config, n = self.config, self._analog
        report = values.astype(np.float32, copy=True)
        if config.noise_std > 0:
            report[:, :n] += config.noise_std * self._rng.standard_normal((len(report), n), dtype=np.float32)
        if config.quantum > 0:
            report[:, :n] = np.round(report[:, :n] / config.quantum) * config.quantum
        if config.deadband == 0:
            return report, np.ones(len(report), np.bool_)
        threshold = np.zeros(report.shape[1], np.float32)
        threshold[:n] = config.deadband
        moved = np.abs(report - self._reported) > threshold
        self._reported = np.where(moved, report, self._reported)
        return self._reported.copy(), moved.any(axis=1)

    def _in_outage(self, time_s: NDArray[np.float64]) -> Bool:
        out = np.zeros(time_s.shape, np.bool_)
        for begin, end in self.config.outages:
            out |= (time_s >= begin) & (time_s < end)
        return out

    def _draw_delay(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (n,) delays in ticks."""
        delay = self.config.delay
        total = np.full(n, delay.fixed, np.float64)
        if delay.distribution == "uniform":
            total += rng.uniform(0.0, 2.0 * delay.mean, n)
        elif delay.distribution == "gamma":
            shape = (delay.mean / delay.std) ** 2
            total += rng.gamma(shape, delay.mean / shape, n)
        elif delay.distribution == "lognormal":
            variance = np.log1p((delay.std / delay.mean) ** 2)
            total += rng.lognormal(np.log(delay.mean) - variance / 2, np.sqrt(variance), n)
        elif delay.distribution == "choice":
            total += rng.choice(delay.choices, n)
        if delay.unit == "seconds":
            total /= self._dt_s
        # A delay of a whole number of ticks must not slip to the next one by rounding.
        return np.minimum(np.ceil(total - 1e-9), self.max_ticks)


def _max_ticks(delay: Delay, dt_s: float) -> int:
    if delay.distribution not in ("none", "choice"):
        return delay.limit_ticks
    longest = delay.fixed + max(delay.choices, default=0.0)
    return int(np.ceil((longest / dt_s if delay.unit == "seconds" else longest) - 1e-9))
