"""The `chorus` command: a thin frame; every command is imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Run `chorus`."""
    start("launch.commands:chorus")


def start(app: str) -> None:
    """Check our packages, then run a typer app.

    The imports wait until here because forked nodes load the file that called this once more.

    Args:
        app: `module:attribute` of the app.
    """
    from launch.errors import ShadowedPackageError
    from launch.imports import check_packages, put_first

    put_first()
    try:
        check_packages()
    except ShadowedPackageError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(ShadowedPackageError.exit_code)
    module, _, attribute = app.partition(":")
    getattr(import_module(module), attribute)()


if __name__ == "__main__":
    main()
