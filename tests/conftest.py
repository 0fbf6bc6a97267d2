"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _logs_of_sb3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the folders that Stable-Baselines3's loggers make out of the machine's /tmp."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("sb3")))
        yield
