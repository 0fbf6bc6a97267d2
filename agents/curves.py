"""Where a node that learns writes its curves: a table and TensorBoard's files, new ones in each life."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.logger import Logger, make_output_format


def curves_logger(folder: Path) -> Logger:
    """Return a logger into a folder that keeps what earlier lives of the node wrote there.

    The first writes `progress.csv`, those after it `progress-1.csv` and so on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lives = len(list(folder.glob("progress*.csv")))
    suffix = f"-{lives}" if lives else ""
    formats = [make_output_format(kind, str(folder), suffix) for kind in ("csv", "tensorboard")]
    return Logger(str(folder), formats)
