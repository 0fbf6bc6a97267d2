"""What a critic tells people of its training: one line on the bus, and curves for TensorBoard."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from stable_baselines3.common.logger import Logger

from agents.critic.trainer import UpdateReport, ValueTrainer
from agents.curves import curves_logger


class Progress:
    """Reports every update.

    Args:
        tensorboard_dir: folder of all curves of the run, or None for no curves.
        updates: how many updates there will be, if known.
    """

    def __init__(self, tensorboard_dir: str | None, updates: int | None) -> None:
        self._updates = updates
        self._logger: Logger | None = None
        if tensorboard_dir is not None:
            self._logger = curves_logger(Path(tensorboard_dir) / "critic")

    def record(self, report: UpdateReport, trainer: ValueTrainer) -> None:
        """Write the curves of one update, over the environment steps so far."""
        if self._logger is None:
            return
        for name, value in asdict(report).items():
            self._logger.record(f"critic/{name}", value)
        self._logger.record("critic/value_mean", trainer.network.head.mean.mean().item())
        self._logger.record("critic/value_std", trainer.network.head.std.mean().item())
        self._logger.record("critic/learning_rate", trainer.learning_rate)
        self._logger.dump(trainer.samples)

    def note(self, version: int, skipped: int, report: UpdateReport | None) -> str:
        """Return the line for the node's status, JSON as the agents' own."""
        note: dict[str, float | int] = {"updates": version, "skipped": skipped}
        if self._updates is not None:
            note["of"] = self._updates
        if report is not None:
            note |= {"loss": report.loss, "explained_variance": report.explained_variance}
        return json.dumps(note)

    def close(self) -> None:
        """Write what is left."""
        if self._logger is not None:
            self._logger.close()
