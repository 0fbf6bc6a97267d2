"""The report at the end of a run: tables in the terminal, and report.html with pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from launch import pictures
from launch.evaluation import PICTURES, played_by, read_results, unseen
from launch.references import NOTES
from launch.report_data import KINDS, Score, Timing, curves, duration_s, scores, timings

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .7rem; text-align: right; }
th { border-bottom: 1px solid #999; font-weight: 600; } td:first-child, th:first-child { text-align: left; }
img { max-width: 100%; } pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; }
"""

MET = "scenarios that training may have met"

Rows = Sequence[Sequence[str]]


def write_report(run_dir: Path, console: Console) -> Path:
    """Print the tables of a run and write its report.html.

    Args:
        run_dir: the run's folder; what is missing in it is left out.
        console: where the tables go.

    Returns:
        the path of report.html.
    """
    name = run_dir.resolve().name  # not "latest", which is another run tomorrow
    parts = [
        f"<h1>{html.escape(name)}</h1>",
        *_evaluation_part(run_dir, console),
        *_episodes_part(run_dir),
        *_learning_part(run_dir),
        *_timing_part(run_dir, console),
        *_configuration_part(run_dir),
    ]
    path = run_dir / "report.html"
    path.write_text(_page(name, "\n".join(parts)), encoding="utf-8")
    return path


def _evaluation_part(run_dir: Path, console: Console) -> list[str]:
    results = scores(read_results(run_dir))
    if not results:
        return []
    settings = played_by(run_dir)
    metrics = [name for name in settings.get("metrics", ()) if name in results[0].metrics]
    cut = settings.get("max_ticks")
    title = _score_title(results, "held-out scenarios" if unseen(run_dir) else MET, cut)
    console.print(_table(title, *_score_rows(results, metrics)))
    notes = [f"{s.policy} {NOTES[s.policy]}." for s in results if s.policy in NOTES]
    if cut is not None:
        notes.append(f"Episodes were cut after {cut} ticks (evaluator.max_ticks): survived is of these.")
    for note in notes:
        console.print(note)
    return [
        f"<h2>{title}</h2>",
        _html_table(*_score_rows(results, metrics)),
        *(f"<p>{html.escape(note)}</p>" for note in notes),
        _html_table(*_metric_rows(results)),
        _image(pictures.survival(results), "survived share by policy"),
    ]


def _episodes_part(run_dir: Path) -> list[str]:
    return [
        f"<h3>An episode of {html.escape(policy)}</h3>"
        + _image(path.read_bytes(), f"one episode of {policy}")
        for policy in dict.fromkeys(episode.policy for episode in read_results(run_dir))
        if (path := run_dir / PICTURES / f"{policy}.png").exists()  # others are of an earlier evaluation
    ]


def _learning_part(run_dir: Path) -> list[str]:
    rewards = curves(run_dir, "rollout/ep_rew_mean")
    if not rewards:
        return []
    return [
        "<h2>Learning</h2><p>Mean return of the latest episodes in training, each agent's own.</p>",
        _image(pictures.learning_curves(rewards, "episode return"), "episode return by agent"),
    ]


def _timing_part(run_dir: Path, console: Console) -> list[str]:
    times = timings(run_dir)
    if not times:
        return []
    console.print(_table("Where each tick's time went (milliseconds per tick)", *_timing_rows(times)))
    rate = _rate(times[0], duration_s(run_dir))
    console.print(rate)
    return [
        "<h2>Time per tick</h2>",
        _html_table(*_timing_rows(times)),
        f"<p>{rate}</p>",
        _image(pictures.time_by_kind(times), "milliseconds per tick by kind of work"),
    ]


def _configuration_part(run_dir: Path) -> list[str]:
    config = run_dir / "config.yaml"
    if not config.exists():
        return []
    return [f"<h2>Configuration</h2><pre>{html.escape(config.read_text(encoding='utf-8'))}</pre>"]


def _score_title(results: Sequence[Score], scenarios: str, cut: int | None) -> str:
    ticks = "" if cut is None else f" of at most {cut} ticks"
    return f"{results[0].episodes} {scenarios}{ticks} (means with 95 % intervals)"


def _score_rows(results: Sequence[Score], metrics: Sequence[str]) -> tuple[Sequence[str], Rows]:
    heads = ("policy", "return", "survived share", "acted", *metrics)
    rows = [
        (
            score.policy,
            str(score.episode_return),
            f"{survived.value:.0%} [{100 * survived.low:.0f}, {100 * survived.high:.0f}]",
            f"{score.interventions:.1%}",
            *(f"{score.metrics[name]:.4g}" for name in metrics),
        )
        for score in results
        for survived in (score.survived,)
    ]
    return heads, rows


def _metric_rows(results: Sequence[Score]) -> tuple[Sequence[str], Rows]:
    names = list(results[0].metrics)
    rows = [(name, *(f"{score.metrics[name]:.4g}" for score in results)) for name in names]
    return ("metric", *(score.policy for score in results)), rows


def _timing_rows(times: Sequence[Timing]) -> tuple[Sequence[str], Rows]:
    heads = ("node", *KINDS)
    rows = [
        (
            timing.node,
            *(f"{timing.per_tick_ms(kind):.2f}" if kind in timing.seconds else "" for kind in KINDS),
        )
        for timing in times
    ]
    return heads, rows


def _rate(simulator: Timing, whole_s: float | None) -> str:
    seconds = sum(simulator.seconds.values())
    steps = simulator.ticks * simulator.n_envs
    rate = steps / max(seconds, 1e-9)
    whole = "" if whole_s is None else f"; with start and end {whole_s:.0f} s"
    return (
        f"{simulator.ticks:,} ticks of {simulator.n_envs} copies in {seconds:.0f} s: {rate:,.0f} environment "
        f"steps/s, waiting and learning included{whole}"
    )


def _table(title: str, heads: Sequence[str], rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _html_table(heads: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _page(title: str, body: str) -> str:
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
