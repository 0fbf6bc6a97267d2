"""Make sure that our packages are ours.

The names are common ones: a ROS 2 shell has a `launch`, the package index an `agents`. The checkout
therefore goes first on the path, of this process and of every process it starts, and is checked.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from launch.errors import ShadowedPackageError

ROOT = Path(__file__).resolve().parent.parent  # the folder that holds our packages
PACKAGES = ("broker", "simulator", "agents", "factorization", "launch")


def put_first() -> None:
    """Put our packages first on the import path of this process and of its children."""
    root = str(ROOT)
    sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
    inherited = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != root]
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *inherited])
    os.environ["PYTHONSAFEPATH"] = "1"  # the working directory comes before PYTHONPATH otherwise


def check_packages(names: tuple[str, ...] = PACKAGES) -> None:
    """Check where each of our packages would be imported from.

    Raises:
        ShadowedPackageError: somebody else's package stands in the way; says which, where, and what to do.
    """
    for name in names:
        found = _location(name)
        if found != ROOT / name:
            msg = (
                f"import {name}: finds {found or 'nothing'}, expected {ROOT / name}; another package of "
                f"this name is in the way: put {ROOT} first in PYTHONPATH, or use a shell without the other"
            )
            raise ShadowedPackageError(msg)


def _location(name: str) -> Path | None:
    module = sys.modules.get(name)
    spec = module.__spec__ if module is not None else find_spec(name)
    if spec is None or not spec.origin:
        return None
    origin = Path(spec.origin).resolve()
    return origin.parent if origin.name == "__init__.py" else origin
