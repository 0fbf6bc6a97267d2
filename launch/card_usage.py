"""The Python of a model card, which runs as it stands in the folder that holds models/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MODULES = {"PPO": "stable_baselines3", "MaskablePPO": "sb3_contrib", "RecurrentPPO": "sb3_contrib"}

_ACT = """
world = simulator.make({make})
frame, starts = world.reset(), np.ones(1, bool)
policies = {{agent: SavedPolicy.load("models", agent, deterministic=True) for agent in {learners}}}
for tick in range(10):
    masks = frame.masks or {{}}
    actions = {{a: p.act(frame.observations[a], masks.get(a), starts) for a, p in policies.items()}}{others}
    frame = world.step(actions)
    starts = frame.done
world.close()
"""


_OTHERS = """
    actions |= {a: world.fallback(a) for a in world.spec.agents if a not in actions}  # here others rest"""


def saved_policies(simulator: Mapping[str, Any], learners: Sequence[str] | None = None) -> str:
    """Return Python that lets agents act for ten ticks behind the link that they learned behind.

    Args:
        simulator: settings of the grid; paths in them are seen from the folder that holds models/.
        learners: agents with a saved policy; None: all.
    """
    arguments = [repr(simulator["grid"]), "n_envs=1", "seed=0"]
    if simulator.get("scada"):
        arguments.append(f"scada={simulator['scada']!r}")
    if simulator.get("smoothing"):
        arguments.append(f"smoothing={simulator['smoothing']!r}")
    if simulator.get("options"):
        arguments.append(f"**{dict(simulator['options'])!r}")
    imports = "import numpy as np\n\nimport simulator\nfrom agents.saved_policy import SavedPolicy\n"
    names = "world.spec.agents" if learners is None else repr(list(learners))
    others = "" if learners is None else _OTHERS
    return imports + _ACT.format(make=", ".join(arguments), learners=names, others=others)


def plain_sb3(algorithm: str, file: str) -> str:
    """Return Python that loads one agent's zip with the stock class and asks it for an action."""
    return (
        f"from {_MODULES[algorithm]} import {algorithm}\n\n"
        f'model = {algorithm}.load("models/{file}", device="cpu")\n'
        "observation = model.observation_space.sample()\n"
        "action, _ = model.predict(observation, deterministic=True)\n"
    )
