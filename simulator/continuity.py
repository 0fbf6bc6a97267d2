"""What a simulator has to know of its earlier lives in a run: their epochs, and which agents had left."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

_LOG = logging.getLogger("simulator.continuity")
_FILE = "nodes/simulator.state.json"  # below the run folder


@dataclass(frozen=True)
class Standing:
    """How far a run has come, for whoever goes on with it."""

    epoch: int = 0  # the newest; 0 before the first
    left: tuple[str, ...] = ()  # agents that have left for good


class Continuity:
    """Keeps the standing of a run in its folder, so that it outlives the simulator and the broker.

    Args:
        run_dir: the run's folder; None: nothing is kept.
    """

    def __init__(self, run_dir: str | None) -> None:
        self._path = None if run_dir is None else Path(run_dir) / _FILE
        self._kept = Standing()

    def recall(self) -> Standing:
        """Return what the life before has kept, nothing in the first one."""
        if self._path is not None and self._path.exists():
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._kept = Standing(int(known["epoch"]), tuple(known["left"]))
        return self._kept

    def keep(self, standing: Standing) -> None:
        """Write the standing down if it is news; a disk that takes nothing does not end the simulator."""
        if standing == self._kept:
            return
        self._kept = standing
        if self._path is None:
            return
        partial = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(standing)) + "\n", encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            _LOG.warning("%s: cannot be written (%s); a next life will not know %s", partial, error, standing)
