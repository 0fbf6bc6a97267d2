"""The main job: bring up an ensemble and run it to its end. The same as `chorus launch`.

python launch/run_ensemble.py [FILE.yaml] [name=value ...]     without arguments: the default ensemble
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run `chorus launch` with this script's arguments."""
    here = Path(__file__).resolve().parent
    # As a script, Python put this folder first on the path, and its modules are not top-level ones.
    sys.path[:] = [str(here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != here)]
    from launch.cli import start

    start("launch.launch_command:app")


if __name__ == "__main__":
    main()
