"""Chronics read once per process, shared by all copies, and entered at any step without replaying it."""

from __future__ import annotations

import copy
from collections import OrderedDict
from datetime import datetime
from typing import Any

import numpy as np
from grid2op.Chronics import GridStateFromFile, GridStateFromFileWithForecasts, Multifolder

KEPT = 64  # chronics in memory per process, the least recently used leave first

_FIXED = (GridStateFromFile, GridStateFromFileWithForecasts)
_cache: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


class SharedChronics(Multifolder):  # type: ignore[misc]
    """grid2op's folder of chronics; the arrays read from a folder are shared, the position in them is not."""

    FORECASTS = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Forecasts serve obs.simulate only; without them a chronic takes half the time and memory.
        if not self.FORECASTS and kwargs.get("gridvalueClass") is GridStateFromFileWithForecasts:
            kwargs["gridvalueClass"] = GridStateFromFile
        super().__init__(*args, **kwargs)

    def initialize(
        self,
        order_backend_loads: Any,
        order_backend_prods: Any,
        order_backend_lines: Any,
        order_backend_subs: Any,
        names_chronics_to_backend: Any = None,
    ) -> None:
        """Point at the next chronic (called by grid2op at every reset)."""
        self._order_backend_loads, self._order_backend_prods = order_backend_loads, order_backend_prods
        self._order_backend_lines, self._order_backend_subs = order_backend_lines, order_backend_subs
        self._names_chronics_to_backend = names_chronics_to_backend
        if not self._shareable:
            super().initialize(*self._names())
            return
        self.n_load, self.n_gen, self.n_line = (len(names) for names in self._names()[:3])
        if self._order is None:
            self.reset()
        self.data = self._own(self._read(int(self._order[self._prev_cache_id])))
        self.start_datetime, self.current_datetime = self.data.start_datetime, self.data.current_datetime
        if self.action_space is not None:
            self.data.action_space = self.action_space
        self._max_iter = self.data.max_iter

    def fast_forward(self, nb_timestep: int) -> None:
        """Skip steps at once; what grid2op does one step at a time costs 40 ms late in a month."""
        if not self._shareable:
            super().fast_forward(nb_timestep)
            return
        self.data.current_index += nb_timestep
        self.data.curr_iter += nb_timestep
        self.data.current_datetime += nb_timestep * self.data.time_interval

    def span(self, chronic: int) -> tuple[datetime, int]:
        """Return when a chronic starts and how many steps can be played in it."""
        data = self._read(chronic) if self._shareable else self.data
        return data.start_datetime, int(data.max_timestep())

    def load_from_now_mw(self, steps: int) -> np.ndarray[Any, Any]:
        """Return (steps,): the total load of so many steps of the chronic, MW, the present one first."""
        load = getattr(self.data, "load_p", None)
        if load is None:
            return np.zeros(0)
        first = self.data.current_index
        return np.asarray(load[first : first + steps].sum(axis=1), dtype=np.float64)

    @property
    def _shareable(self) -> bool:
        return issubclass(self.gridvalueClass, GridStateFromFile) and self.chunk_size is None

    def _names(self) -> tuple[Any, ...]:
        return (self._order_backend_loads, self._order_backend_prods, self._order_backend_lines,
                self._order_backend_subs, self._names_chronics_to_backend)  # fmt: skip

    def _read(self, chronic: int) -> Any:
        path = str(self.subpaths[chronic])
        key = (path, self.gridvalueClass, *(tuple(names) for names in self._names()[:3]))
        if key not in _cache:
            data = self._get_nex_data(path)
            data.initialize(*self._names())
            _cache[key] = data
            while len(_cache) > KEPT:
                _cache.popitem(last=False)
        _cache.move_to_end(key)
        return _cache[key]

    def _own(self, shared: Any) -> Any:
        """Return a position of our own in shared arrays."""
        data = copy.copy(shared)
        if type(data) not in _FIXED:  # some draw maintenance at random, each copy its own
            data.space_prng = np.random.RandomState()
            data.seed(int(self.space_prng.randint(np.iinfo(np.int32).max)))
            data.regenerate_with_new_seed()
        data.next_chronics()
        return data


class ForecastChronics(SharedChronics):
    """Likewise, with the forecasts."""

    FORECASTS = True
