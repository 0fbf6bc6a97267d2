"""A bus and a bag for tests of players."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.bag.bags import (
    sample,
)
from tests.running_broker import running_broker


@pytest.fixture(params=["memory", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://{tmp_path.name}"
    else:
        with running_broker(tmp_path) as found:
            yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return sample(tmp_path / "b.mcap", count=400, period_ns=2_000_000)
