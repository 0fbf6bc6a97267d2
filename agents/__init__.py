"""Decentralized Stable-Baselines3 agents and the critic service they share.

The algorithms are imported at their first use, so that ``import agents`` stays free of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agents.errors import AgentsError

if TYPE_CHECKING:
    from agents.ensemble_ppo import EnsemblePPO, MaskableEnsemblePPO, RecurrentEnsemblePPO
    from agents.env import BusVecEnv

__all__ = ["AgentsError", "BusVecEnv", "EnsemblePPO", "MaskableEnsemblePPO", "RecurrentEnsemblePPO"]

_LAZY = {
    "BusVecEnv": "agents.env",
    "EnsemblePPO": "agents.ensemble_ppo",
    "MaskableEnsemblePPO": "agents.ensemble_ppo",
    "RecurrentEnsemblePPO": "agents.ensemble_ppo",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        message = f"module 'agents' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_LAZY[name]), name)
