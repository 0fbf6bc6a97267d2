"""The numbers about each tick that an evaluator needs: survival, congestion, energy and interventions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.frame import Bool, Float32, Verdict
from simulator.transmission.masks import Reason
from simulator.transmission.types import Int, Layout, System, Tick

Metrics = Mapping[str, NDArray[np.generic]]

NAMES = (
    "chronic",  # index of the chronic that the tick belongs to
    "start_step",  # step of the chronic at which the episode started
    "episode_step",  # steps played, this tick included
    "episode_length",  # longest number of steps that this episode can have
    "steps_survived",  # steps without game over so far
    "max_rho",  # largest current over thermal limit
    "overloaded_lines",  # lines above their limit
    "lines_out",  # lines out of service
    "asked",  # 1 where agents were asked before this tick (gate)
    "interventions",  # agents whose action was carried out and changed something
    "illegal_proposals",  # agents whose proposal was illegal (not counting those that were not asked)
    "lost_proposals",  # agents that lost arbitration
    "reconnections",  # lines that the simulator itself reconnected
    "attacked",  # 1 while an opponent attacks
    "load_mwh",  # energy that loads took in this tick
    "losses_mwh",  # energy lost in the network in this tick
    "redispatched_mwh",  # sum of |actual dispatch| over generators
    "curtailed_mwh",  # energy of renewables that was not let in
    "storage_mwh",  # sum of |power| of storage units
    "energy_price",  # per MWh, of the dearest generator: the price in L2RPN's costs
    "not_served_mwh",  # load from the tick of a game over to the episode's end, in that tick
)


class Meter:
    """Computes the metrics of a tick."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._layout = Layout(system)

    def after_reset(self, tick: Tick) -> Metrics:
        """Return the metrics of a reset, when nobody has acted yet."""
        e = len(tick.now)
        none = np.zeros(e, np.int64)
        return self._gather(tick, none, none, none, none, none)

    def after_step(
        self, tick: Tick, asked: Bool, interventions: Int, verdicts: NDArray[np.uint8],
        details: NDArray[np.int32], reconnections: Int,
    ) -> Metrics:  # fmt: skip
        """Return the metrics of a step; arrays are (E,) or (E, n_agents)."""
        illegal = (verdicts == Verdict.ILLEGAL) & (details != Reason.NOT_ASKED)
        lost = verdicts == Verdict.LOST_ARBITRATION
        return self._gather(tick, asked, interventions, illegal.sum(axis=1), lost.sum(axis=1), reconnections)

    def _gather(self, tick: Tick, *counts: NDArray[Any]) -> Metrics:
        view, rows = self._layout.view, tick.last
        rho, step = view(rows, "rho"), view(rows, "step")[:, 0]
        asked, interventions, illegal, lost, reconnections = counts
        values = (
            *tick.episode[:, :2].T, step, tick.episode[:, 2], tick.episode[:, 3],
            rho.max(axis=1), (rho > 1.0).sum(axis=1), (view(rows, "line_status") < 0.5).sum(axis=1),
            asked, interventions, illegal, lost, reconnections, tick.attacked,
            *self._energy(rows), np.full(len(rows), self._system.price), tick.not_served,
        )  # fmt: skip
        return {name: np.asarray(value, dtype=np.float32) for name, value in zip(NAMES, values, strict=True)}

    def _energy(self, rows: Float32) -> tuple[Float32, ...]:
        """Return (E,) each: load, losses, redispatched, curtailed and storage energy, MWh."""
        view, hours = self._layout.view, self._system.dt_s / 3600.0
        load, gen = view(rows, "load_p").sum(axis=1), view(rows, "gen_p").sum(axis=1)
        storage = view(rows, "storage_power")
        curtailed = (view(rows, "curtailment") * self._system.gen_pmax).sum(axis=1)
        powers = (
            load, np.maximum(gen - load - storage.sum(axis=1), 0.0),
            np.abs(view(rows, "actual_dispatch")).sum(axis=1), np.maximum(curtailed, 0.0),
            np.abs(storage).sum(axis=1),
        )  # fmt: skip
        return tuple((power * hours).astype(np.float32) for power in powers)
