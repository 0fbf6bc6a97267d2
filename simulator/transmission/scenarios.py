"""Which episodes a copy plays: start days of a split, or a given list.

A day belongs to `eval` when the ordinal of its date is divisible by five, in every chronic; all other
days are `train`. An episode starts where a day starts, and all its steps begin in its split. It has one
observation more than steps: where it goes on until its split ends, the last one is 00:00 of the day after,
which is of the other split. Nobody acts on it; it is the next state of the last step, and gives that step's
reward. No other observation of a held-out day is seen in training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from simulator.errors import OptionError
from simulator.transmission.options import Options

EVERY = 5  # one day in five is held out

Span = Callable[[int], tuple[datetime, int]]  # chronic -> its start and number of steps


@dataclass(frozen=True)
class Scenario:
    """One episode to play."""

    chronic: int
    start: int  # step of the chronic
    length: int  # longest number of steps


class Scenarios:
    """The scenarios that the options allow, given the chronics of the environment."""

    def __init__(self, options: Options, names: tuple[str, ...], span: Span, dt_s: float) -> None:
        self._options = options
        self._span = span
        self._day = max(1, round(86400 / dt_s))  # steps
        unknown = sorted(set(options.chronics or ()) - set(names))
        if unknown:
            msg = f"grid2op grid: option 'chronics' names {unknown}, expected names out of {names}"
            raise OptionError(msg)
        wanted = options.chronics or names
        self._chronics = [index for index, name in enumerate(names) if name in wanted]
        self._check_list(len(names))

    def draw(self, rng: np.random.Generator) -> Scenario:
        """Return a random scenario of the split: a chronic first, then one of its days."""
        for chronic in rng.permutation(self._chronics):
            days = self.of(int(chronic))
            if days:
                return days[int(rng.integers(len(days)))]
        msg = (
            f"grid2op grid: option 'split' is '{self._options.split}', but no day of the chronics belongs to"
            f" it (by date, one in {EVERY} is 'eval'); choose split='all', or a data set with more days"
            " (test=False)"
        )
        raise OptionError(msg)

    def listed(self, turn: int) -> Scenario:
        """Return the scenario at `turn` of the given list, starting over at its end."""
        assert self._options.scenarios is not None
        chronic, start = self._options.scenarios[turn % len(self._options.scenarios)]
        n_steps = self._span(chronic)[1]
        return Scenario(chronic, start, self._length(n_steps - start))

    def of(self, chronic: int) -> list[Scenario]:
        """Return all scenarios of a chronic in the split, by day."""
        began, n_steps = self._span(chronic)
        days = range(max(1, (n_steps + 1) // self._day))
        touched = -(-n_steps // self._day)  # the last day may be cut off: too short to start in
        member = [self._in_split(began + timedelta(days=day)) for day in range(touched)]
        return [
            Scenario(chronic, day * self._day, self._length(self._stay(member, day, n_steps)))
            for day in days
            if member[day]
        ]

    def _stay(self, member: list[bool], day: int, n_steps: int) -> int:
        """Return for how many steps an episode from `day` on can stay in the split and the chronic."""
        rest = n_steps - day * self._day
        leaves = next((d for d in range(day, len(member)) if not member[d]), None)
        return rest if leaves is None else min(rest, (leaves - day) * self._day)

    def _in_split(self, day: datetime) -> bool:
        held_out = (day + timedelta(hours=12)).toordinal() % EVERY == 0
        return self._options.split == "all" or held_out == (self._options.split == "eval")

    def _length(self, stay: int) -> int:
        return stay if self._options.max_steps is None else min(stay, self._options.max_steps)

    def _check_list(self, n_chronics: int) -> None:
        for chronic, start in self._options.scenarios or ():
            if chronic >= n_chronics:
                wrong, limit = f"chronic {chronic}", n_chronics
            elif start >= self._span(chronic)[1]:
                wrong, limit = f"start step {start} in chronic {chronic}", self._span(chronic)[1]
            else:
                continue
            msg = f"grid2op grid: option 'scenarios' has {wrong}, expected less than {limit}"
            raise OptionError(msg)
