"""The version of gridchorus that this checkout is; each node tells the broker, `chorus doctor` compares."""

VERSION = "0.1.0"  # as in pyproject.toml
