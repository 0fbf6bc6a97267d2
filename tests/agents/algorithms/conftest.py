"""Critics under an address, one torch thread, no trace left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch as th

from agents import sources

from .worlds import ConstantCritic


@pytest.fixture
def critic() -> Iterator[Callable[..., str]]:
    """Register a critic and return its address; all are forgotten afterwards."""
    addresses: list[str] = []

    def register(source: sources.AdvantageSource | None = None) -> str:
        address = f"local://critic-{len(addresses)}"
        sources.register(address, source or ConstantCritic())
        addresses.append(address)
        return address

    yield register
    for address in addresses:
        sources.unregister(address)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Every process of an ensemble runs torch on one thread."""
    before = th.get_num_threads()
    th.set_num_threads(1)
    yield
    th.set_num_threads(before)
