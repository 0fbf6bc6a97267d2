"""What the console shows of a run: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launch.logs import Level, LogLine
from launch.state import Row

_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
_STATE_STYLES = {"failed": "red", "restarting": "yellow", "done": "dim", "running": "green", "ready": "green"}
_HEADERS = {"name": "node", "rate": "ticks"}
_PLAIN_EVERY_S = 5.0


@dataclass(frozen=True)
class View:
    """One picture of the run."""

    name: str
    rows: Sequence[Row]
    done_ticks: int
    total_ticks: int
    elapsed_s: float
    eta_s: float | None


class Display(Protocol):
    """Where a run shows itself."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """End, leaving the last picture."""
        ...

    def show(self, view: View) -> None:
        """Show how the run stands."""
        ...

    def show_last(self, view: View) -> None:
        """Show how the run ended."""
        ...

    def say(self, text: str, level: Level = Level.INFO) -> None:
        """Show a line of the supervisor."""
        ...

    def log(self, line: LogLine) -> None:
        """Show a line of a node's log."""
        ...


class _Lines:
    """The lines that both displays print alike."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._order: dict[str, int] = {}

    def say(self, text: str, level: Level = Level.INFO) -> None:
        """Print a line of the supervisor."""
        style = {Level.INFO: "bold", Level.WARNING: "yellow", Level.ERROR: "bold red"}[level]
        self.console.print(Text(text, style=style), soft_wrap=True)

    def log(self, line: LogLine) -> None:
        """Print a line of a node with its name in front, each node in a colour of its own."""
        index = self._order.setdefault(line.node, len(self._order))
        prefix = Text(f"[{line.node}] ", style=_COLOURS[index % len(_COLOURS)])
        style = {Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "red"}[line.level]
        self.console.print(prefix + Text(line.text, style=style), soft_wrap=True)


class LiveDisplay(_Lines):
    """A table that is redrawn in place, and a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        """Take over the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def show(self, view: View) -> None:
        """Redraw."""
        self._live.update(Group(_table(view), _bar(view)), refresh=True)

    def show_last(self, view: View) -> None:
        """Redraw once more."""
        self.show(view)


class PlainDisplay(_Lines):
    """Lines for a log file or a pipe."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._last = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def show(self, view: View) -> None:
        """Print a line if the last one is a while ago."""
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_S:
            self.show_last(view)

    def show_last(self, view: View) -> None:
        """Print a line in any case."""
        self._last = time.monotonic()
        self.console.print(plain_line(view), soft_wrap=True, highlight=False)


def make_display() -> LiveDisplay | PlainDisplay:
    """Return the display that suits where standard output goes."""
    console = Console(file=sys.stdout)
    can_redraw = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console) if can_redraw else PlainDisplay(console)


def plain_line(view: View) -> str:
    """Return the run's state in one line."""
    states = Counter(row.state for row in view.rows)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    rewards = [float(row.reward) for row in view.rows if row.reward]
    parts = [f"{view.elapsed_s:6.0f} s", _ticks(view), counts]
    if rewards:
        parts.append(f"mean reward {sum(rewards) / len(rewards):.4g}")
    restarts = sum(int(row.restarts or 0) for row in view.rows)
    if restarts:
        parts.append(f"{restarts} restarts")
    if view.eta_s is not None:
        parts.append(f"about {duration(view.eta_s)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Return a time as 12 s, 3:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"


def _ticks(view: View) -> str:
    share = 100 * view.done_ticks / view.total_ticks if view.total_ticks else 0
    return f"tick {view.done_ticks}/{view.total_ticks} ({share:.0f} %)"


def _table(view: View) -> Table:
    names = [field.name for field in fields(Row)]
    table = Table(title=view.name, title_justify="left", box=None, pad_edge=False)
    for name in names:
        table.add_column(_HEADERS.get(name, name), justify="left" if name in ("name", "state") else "right")
    for row in view.rows:
        cells = [Text(getattr(row, name)) for name in names]
        cells[1].stylize(_STATE_STYLES.get(row.state, ""))
        table.add_row(*cells)
    return table


def _bar(view: View) -> Table:
    line = Table.grid(padding=(0, 1))
    left = f"about {duration(view.eta_s)} left" if view.eta_s is not None else ""
    bar = ProgressBar(total=max(view.total_ticks, 1), completed=view.done_ticks, width=32)
    line.add_row(bar, Text(_ticks(view)), Text(duration(view.elapsed_s)), Text(left, style="dim"))
    return line
