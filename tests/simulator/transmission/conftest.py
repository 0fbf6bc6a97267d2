"""One small grid2op environment, made once for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.transmission.clusters import assign, choose_partition
from simulator.transmission.environment import describe, make_environment
from simulator.transmission.options import Options

CASE14 = "rte_case14_realistic"


@pytest.fixture(scope="package")
def env() -> Iterator[object]:
    environment = make_environment(CASE14, Options())
    yield environment
    environment.close()


@pytest.fixture(scope="package")
def system(env):
    env.set_id(0)
    env.reset()
    return describe(env, CASE14)


@pytest.fixture(scope="package")
def clusters(system):
    partition = choose_partition(CASE14, None)
    assert partition is not None
    return assign(system, partition)
