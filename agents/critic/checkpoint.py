"""A critic's state on disk: written whole or not at all, read without running any code from the file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from agents.critic.errors import CheckpointError
from agents.files import replacing

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists, dicts); a kill at any moment leaves a whole file."""
    with replacing(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: Path) -> dict[str, Any]:
    """Return the state that `save` wrote.

    Raises:
        CheckpointError: if the file is damaged or of another format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        msg = f"{path}: cannot be read as a critic's checkpoint ({error}); move it away to start anew"
        raise CheckpointError(msg) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        got = state.get("format") if isinstance(state, dict) else type(state).__name__
        msg = f"{path}: format {got}, expected {FORMAT}; move it away to start anew"
        raise CheckpointError(msg)
    return state
