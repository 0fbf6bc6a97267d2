"""A study's results in Markdown: interquartile means with intervals, and what lies behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.statistics import (
    Estimate,
    crossed_bootstrap,
    improvement_by_scenario,
    interquartile_mean,
)
from launch.measures import over_episodes
from launch.report_data import Timing
from launch.study.scores import Score, Table
from launch.study.study import Study
from launch.study.training import Record

_METHOD = (
    "Return: interquartile mean over seeds and scenarios. Intervals: 95 %, bootstrap with seeds and "
    "scenarios crossed. Better than: probability of a higher return in the same scenario."
)
_LOSS = " Loss: minus the return, as a share of {reference}'s."
_CROSS_METHOD = (
    "Interquartile mean of the return over seeds and scenarios, with its 95 % interval; rows are what was "
    "trained, columns what it was evaluated under."
)
_EXTREMES = ("max ", "min ")  # measures that no mean is taken of


def results_table(study: Study, scores: Sequence[Score]) -> str:
    """Return the table of a study whose policies are compared under one condition."""
    rivals = [score for score in scores if not score.variant or score.policy in study.rivals]
    heads = ["policy", "return", "median"]
    if study.loss_against:
        heads.append(f"loss / {study.loss_against}")
    heads += [*study.metrics, *(f"better than {rival.policy}" for rival in rivals)]
    loss = _LOSS.format(reference=study.loss_against) if study.loss_against else ""
    return _markdown(heads, [_row(study, score, rivals) for score in scores]) + f"\n{_METHOD}{loss}\n"


def cross_table(study: Study, scores: Sequence[Score]) -> str:
    """Return the table of a study whose policies are all evaluated under all conditions."""
    at = {(score.policy, score.condition): score for score in scores}
    policies = list(dict.fromkeys(score.policy for score in scores))
    conditions = list(study.conditions)
    rows = [[p, *(_estimate(at[p, c].returns) if (p, c) in at else "" for c in conditions)] for p in policies]
    text = _markdown(["trained under", *conditions], rows)
    text += f"\n{_CROSS_METHOD}\n"
    general = [p for p in policies if p in study.variants and p not in study.conditions]
    special = [c for c in conditions if (c, c) in at]
    if not (general and special):
        return text
    rows = [
        [p, *(_interval(_ratio(at[p, c].returns, at[c, c].returns)) if (p, c) in at else "" for c in special)]
        for p in general
    ]
    heads = ["loss over the specialist's", *special]
    return f"{text}\n{_markdown(heads, rows)}\nA specialist was trained under the very condition.\n"


def trials_table(scores: Sequence[Score], values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of a search.

    Args:
        scores: of the trials, in the order of rows.
        values: trial -> key -> what it had of what was searched.
    """
    keys = list(next(iter(values.values())))
    rows = [
        [
            score.policy,
            _estimate(score.returns),
            _figure("survived", score.figure("survived")),
            *(_written(values[score.variant][key]) for key in keys),
        ]
        for score in scores
    ]
    method = "Return: interquartile mean over seeds and scenarios, with its 95 % bootstrap interval."
    return _markdown(["trial", "return", "survived", *_short(keys)], rows) + f"\n{method}\n"


def _short(keys: Sequence[str]) -> list[str]:
    """Return the last parts of dotted keys, or the whole where two share it."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)]


def _written(value: Any) -> str:
    return "none" if value is None else json.dumps(value).replace('"', "")


def provenance(
    study: Study, command: str, runs: Mapping[str, Sequence[Record]], timings: Sequence[Timing]
) -> str:
    """Return where the numbers come from, one line of Markdown per thing; `runs` are of each variant."""
    records = [record for of_variant in runs.values() for record in of_variant]
    made: dict[str, list[str]] = {}
    for variant, found in runs.items():
        made.setdefault(" and ".join(sorted({record.commit for record in found})), []).append(variant)
    usual, *others = sorted(made, key=lambda commit: -len(made[commit])) or ["none"]
    commits = [usual, *(f"{commit} for {' and '.join(made[commit])}" for commit in others)]
    lines = [
        f"`{command}`",
        f"commit {', '.join(commits)}; seeds {', '.join(map(str, study.seeds))}; "
        f"{study.scenarios.episodes} scenarios of `evaluator.seed: {study.scenarios.seed}`, the same for all",
    ]
    if timings:
        steps = sorted({timing.ticks * timing.n_envs for timing in timings})
        took = [sum(timing.seconds.values()) for timing in timings]
        beside = sorted({record.side_by_side for record in records})
        machines = sorted({record.machine for record in records})
        lines.append(
            f"training: {' or '.join(f'{n:,}' for n in steps)} environment steps per seed, "
            f"{min(took):,.0f} to {max(took):,.0f} s (median {np.median(took):,.0f} s), "
            f"{' or '.join(map(str, beside))} at a time, on {' and '.join(machines)}"
        )
    return "".join(f"- {line}\n" for line in lines)


def _row(study: Study, score: Score, rivals: Sequence[Score]) -> list[str]:
    cells = [score.policy, _estimate(score.returns), number(float(np.median(score.returns)))]
    if study.loss_against:
        reference = [rival for rival in rivals if rival.policy == study.loss_against]
        same = bool(reference) and score is reference[0]
        cells.append(
            "1" if same else _interval(_ratio(score.returns, reference[0].returns)) if reference else ""
        )
    cells += [_figure(name, score.figure(name)) for name in study.metrics]
    for rival in rivals:
        cells.append("" if rival is score else _improvement(score, rival))
    return cells


def _figure(name: str, table: Table) -> str:
    """Return the mean with its interval, or the largest or smallest over all episodes."""
    if not np.isfinite(table).any():
        return ""
    if name.startswith(_EXTREMES):
        return number(over_episodes(name, table))
    return _interval(crossed_bootstrap(lambda drawn: over_episodes(name, drawn), table))


def _improvement(ours: Score, theirs: Score) -> str:
    found = crossed_bootstrap(improvement_by_scenario, ours.returns, theirs.returns)
    return f"{100 * found.value:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _ratio(ours: Table, theirs: Table) -> Estimate:
    return crossed_bootstrap(lambda a, b: interquartile_mean(a) / interquartile_mean(b), ours, theirs)


def _estimate(table: Table) -> str:
    return _interval(crossed_bootstrap(interquartile_mean, table))


def _interval(found: Estimate) -> str:
    if found.low == found.high:
        return number(found.value)
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def number(value: float) -> str:
    """Return four digits, with a minus sign that is one."""
    size = abs(value)
    text = f"{value:.3e}".replace("e+0", "e").replace("e-0", "e-") if size >= 1e4 else f"{value:.4g}"
    return text.replace("-", "−")


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
