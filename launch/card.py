"""The model card of a saved ensemble, models/README.md: what it is, what it can do, how to use it.

The front matter is that of Hugging Face's model cards (https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from agents.files import write_atomically
from agents.statistics import Estimate, crossed_bootstrap, improvement_by_scenario, interquartile_mean
from launch.card_usage import plain_sb3, saved_policies
from launch.episodes import Episode
from launch.evaluation import played_by, read_results, unseen
from launch.report_data import duration_s, timings

CARD = "README.md"
Json = dict[str, Any]

_ALGORITHMS: Mapping[str, str] = {
    "EnsemblePPO": "PPO",
    "MaskableEnsemblePPO": "MaskablePPO",
    "RecurrentEnsemblePPO": "RecurrentPPO",
}


@dataclass(frozen=True)
class Saved:
    """What a run's folder says of its ensemble."""

    folder: Path
    manifest: Json
    simulator: Json
    config: Json
    episodes: Sequence[Episode]
    cut_after: int | None  # ticks of an episode, where the evaluation cut it
    unseen: bool  # training cannot have met the scenarios of the episodes

    @property
    def agents(self) -> Json:
        """Return what the launch file said of agents."""
        return dict(self.config.get("agents", {}))


def write_card(run_dir: Path, baselines: Sequence[Episode] = ()) -> Path | None:
    """Write models/README.md of a run.

    Args:
        run_dir: the run's folder.
        baselines: episodes of rules in the run's scenarios, where the run did not play them itself.

    Returns:
        the card's path; None where the run has saved no ensemble.
    """
    manifest = run_dir / "models" / "manifest.json"
    if not manifest.exists():
        return None
    config = run_dir / "config.yaml"
    saved = Saved(
        folder=run_dir.resolve(),
        manifest=_read(manifest),
        simulator=_with_partition_beside(manifest.parent, _read(run_dir / "nodes" / "simulator.json")),
        config=yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else {},
        episodes=[*read_results(run_dir), *baselines],
        cut_after=played_by(run_dir).get("max_ticks"),
        unseen=unseen(run_dir),
    )
    path = manifest.with_name(CARD)
    write_atomically(path, _card(saved).encode())
    return path


def _with_partition_beside(models: Path, simulator: Json) -> Json:
    """Keep a copy of a partition file beside the policies, and return settings that name it."""
    options = simulator.get("options") or {}
    given, copy = Path(str(options.get("partition", ""))), models / "partition.json"
    if given.is_file():
        write_atomically(copy, given.read_bytes())
    if given.suffix != ".json" or not copy.exists():
        return simulator
    return {**simulator, "options": {**options, "partition": f"{models.name}/{copy.name}"}}


def _card(saved: Saved) -> str:
    parts = [
        _front_matter(saved),
        f"# {saved.config.get('name', saved.folder.name)}: {len(saved.manifest['agents'])} agents on "
        f"`{saved.manifest['grid']}`",
        "Decentralized policies of gridchorus: each agent acts by its own observation alone. One "
        "Stable-Baselines3 zip per agent; `manifest.json` says which belong together.",
        "## Trained",
        _training(saved),
        "## Results",
        _results(saved),
        "## Limits",
        _limits(saved),
        "## Use",
        _use(saved),
        "## Agents",
        _agents(saved),
        "## Configuration",
        f"```yaml\n{yaml.safe_dump(saved.config, sort_keys=False, allow_unicode=True)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(saved: Saved) -> str:
    grid = saved.manifest["grid"]
    document: Json = {
        "library_name": "stable-baselines3",
        "tags": [
            "reinforcement-learning",
            "deep-reinforcement-learning",
            "multi-agent",
            "power-grid",
            "gridchorus",
            grid.replace(":", "-"),
        ],
    }
    ours = [e.episode_return for e in saved.episodes if e.policy == "ensemble"]
    if ours:
        value = f"{np.mean(ours):.4g} +/- {np.std(ours):.4g}"
        metric = {"type": "mean_reward", "name": "mean_reward", "value": value, "verified": False}
        result = {
            "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
            "dataset": {"name": grid, "type": grid},
            "metrics": [metric],
        }
        name = ", ".join(sorted({_stock(entry) for entry in saved.manifest["agents"]}))
        document["model-index"] = [{"name": name, "results": [result]}]
    return f"---\n{yaml.safe_dump(document, sort_keys=False)}---"


def _training(saved: Saved) -> str:
    n_envs, n_steps = saved.simulator.get("n_envs", 1), saved.agents.get("n_steps", 128)
    updates = saved.manifest["updates"]
    critic = saved.config.get("critic", {})
    options, scada = saved.simulator.get("options") or {}, saved.simulator.get("scada")
    entries = [
        ("grid", f"`{saved.manifest['grid']}`{_written(options)}"),
        ("SCADA link", _written(scada).strip(" ,") if scada else "the grid's usual one"),
        ("action smoothing", f"{saved.simulator.get('smoothing', 0.0):g}"),
        ("partition", f"`{options['partition']}`" if options.get("partition") else "the grid's own agents"),
        ("algorithm", ", ".join(sorted({entry["algorithm"] for entry in saved.manifest["agents"]}))),
        ("hyperparameters", _written(saved.agents.get("hyperparameters", {})).strip(" ,") or "SB3's"),
        ("corrects", f"`{saved.agents['corrects']}`" if saved.agents.get("corrects") else "nothing"),
        ("critic", f"{critic.get('mode', 'centralized')}, rewards {critic.get('reward', 'shared')}"),
        ("seed", str(saved.config.get("seed", 0))),
        ("updates", f"{updates}, of {n_steps} ticks in {n_envs} copies"),
        ("environment steps", f"{updates * n_steps * n_envs:,}"),
    ]
    took, times = duration_s(saved.folder), timings(saved.folder)
    if took is not None:
        entries.append(("wall time", f"{took:,.0f} s, start and end of all processes included"))
    elif times:
        entries.append(("simulator ran", f"{sum(times[0].seconds.values()):,.0f} s since its last start"))
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {text} |" for name, text in entries)


def _results(saved: Saved) -> str:
    by_policy: dict[str, list[Episode]] = {}
    for episode in saved.episodes:
        by_policy.setdefault(episode.policy, []).append(episode)
    if not by_policy:
        return "Not evaluated yet: `chorus eval`."
    ours = [name for name in by_policy if name.startswith("ensemble")]
    heads = ["policy", "return", "survived", *(f"better, {name}" for name in ours)]
    rows = [heads, ["---"] * len(heads)]
    for name, played in by_policy.items():
        returns = [[e.episode_return for e in played]]
        survived = crossed_bootstrap(np.mean, [[e.survived for e in played]])
        better = ["" if name in ours else _better(by_policy[own], played) for own in ours]
        rows.append([name, str(crossed_bootstrap(interquartile_mean, returns)), _percent(survived), *better])
    met = "never saw" if saved.unseen else "may have met"
    note = (
        f"{len(next(iter(by_policy.values())))} scenarios that training {met}, the same for all. Return: "
        "interquartile mean, with its 95 % bootstrap interval over scenarios. Better: probability that the "
        "ensemble's return is higher in the same scenario."
    )
    if saved.cut_after is not None:
        note += (
            f" Episodes were cut after {saved.cut_after} ticks (`evaluator.max_ticks`): survived is of these."
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{note}"


def _better(ours: Sequence[Episode], theirs: Sequence[Episode]) -> str:
    if len(ours) != len(theirs):
        return ""
    returns = [[[e.episode_return for e in played]] for played in (ours, theirs)]
    return _percent(crossed_bootstrap(improvement_by_scenario, *returns))


def _percent(found: Estimate) -> str:
    return f"{found.value:.0%} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _limits(saved: Saved) -> str:
    scenarios = "in other scenarios" if saved.unseen else "and perhaps in the same scenarios"
    lines = [
        "One training run: another seed gives other policies, and may do better or worse.",
        f"Evaluated where it was trained: the same grid, options and link, {scenarios}. Other delays, "
        "losses, topologies, operating points and grids were not tested; `chorus eval RUN key=value --out "
        "FILE` tests them.",
        "Simulated only. No stability guarantee, no protection against manipulated measurements: not for "
        "the operation of a real grid.",
    ]
    rules = [name for name, own in (saved.agents.get("overrides") or {}).items() if own.get("baseline")]
    if rules:
        lines.append(f"Trained beside agents that follow rules ({', '.join(rules)}), and only beside them.")
    return "\n".join(f"- {line}" for line in lines)


def _use(saved: Saved) -> str:
    first = saved.manifest["agents"][0]
    said = (saved.agents, *(saved.agents.get("overrides") or {}).values())
    kinds = (("memory", "remember"), ("corrects", "correct a rule"))
    adds = [what for key, what in kinds if any(one.get(key) for one in said)]
    learners = [entry["agent"] for entry in saved.manifest["agents"]]
    rules = any(own.get("baseline") for own in (saved.agents.get("overrides") or {}).values())
    return "\n\n".join(
        (
            "`RUN` is the folder that holds `models/` and the configuration below as `config.yaml`.",
            "```\nchorus launch $RUN/config.yaml agents.mode=act agents.load=$RUN/models "
            "agents.deterministic=true\nchorus eval $RUN\n```",
            "In Python, behind the same link:",
            f"```python\n{saved_policies(saved.simulator, learners if rules else None)}```",
            "One agent alone, in plain Stable-Baselines3; gridchorus has to be importable:",
            f"```python\n{plain_sb3(_stock(first), first['file'])}```"
            + (f"\n\nThese agents {' and '.join(adds)}: `SavedPolicy` adds what that takes." if adds else ""),
        )
    )


def _agents(saved: Saved) -> str:
    rows = [
        f"| {entry['agent']} | `{entry['file']}` | `{entry['policy_sha256'][:16]}` |"
        for entry in saved.manifest["agents"]
    ]
    return "| agent | file | SHA-256 of the policy's tensors |\n| --- | --- | --- |\n" + "\n".join(rows)


def _stock(entry: Mapping[str, Any]) -> str:
    return _ALGORITHMS[entry["algorithm"]]


def _written(settings: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(settings), default_flow_style=True, sort_keys=False, width=10_000).strip()
    return f", `{text.replace('|', '/')}`" if settings else ""


def _read(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"))
    return document
