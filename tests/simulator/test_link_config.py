"""Settings of the SCADA link are checked, with their path, and laid over each other."""

from __future__ import annotations

import pytest

from simulator.errors import OptionError
from simulator.link_config import LinkConfig
from simulator.world import World
from tests.grids import CounterGrid


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"defaults": {}}, r"scada is \['defaults'\]"),
        ({"default": {"measurement": {"los": 0.1}}}, r"scada.default.measurement is \['los'\]"),
        ({"default": {"measurement": {"loss": 1.5}}}, r"loss is 1.5, expected a probability"),
        ({"default": {"measurement": {"delay": {"fixed": -1}}}}, "delay.fixed is -1"),
        ({"default": {"measurement": {"delay": {"distribution": "gamma"}}}}, "both > 0"),
        ({"default": {"measurement": {"delay": {"distribution": "choice"}}}}, "delay.choices"),
        ({"default": {"measurement": {"delay": {"choices": [1.0]}}}}, "delay.choices"),
        ({"default": {"measurement": {"delay": {"every": "day"}}}}, "delay.every"),
        ({"default": {"measurement": {"delay": {"choices": 3}}}}, r"measurement\.delay: .*wrong type"),
        ({"default": {"measurement": {"outages": 3}}}, r"scada\.default\.measurement: .*wrong type"),
        ({"default": {"measurement": {"outages": [[5, 1]]}}}, "from < to"),
        ({"agents": {"middle": {}}}, r"scada.agents is \['middle'\], expected names out of"),
        ({"default": {"command": {"noise_std": 0.1}}}, "its actions are choices"),
        ([], r"scada is \[\], expected a mapping"),
        ({"default": []}, r"scada\.default is \[\], expected a mapping"),
        ({"default": {"measurement": None}}, r"scada\.default\.measurement is None, expected a mapping"),
        ({"default": {"command": [1]}}, r"scada\.default\.command is \[1\], expected a mapping"),
        ({"agents": ["left"]}, r"scada\.agents is \['left'\], expected a mapping"),
        ({"agents": {"left": None}}, r"scada\.agents\.left is None, expected a mapping"),
        ({"agents": {"left": ["loss"]}}, r"scada\.agents\.left is \['loss'\], expected a mapping"),
        ({"agents": {"middle": {}, 3: {}}}, r"scada.agents is \[3, 'middle'\], expected names out of"),
        (
            {"default": {"measurement": {"delay": {"limit_ticks": 2.5}}}},
            r"scada\.default\.measurement\.delay: .*delay\.limit_ticks is 2\.5, expected an integer",
        ),
        ({"default": {"measurement": {"delay": {"fixed": True}}}}, "delay.fixed is True, expected a number"),
        ({"default": {"measurement": {"delay": {"fixed": "2"}}}}, "delay.fixed is '2', expected a number"),
        ({"default": {"measurement": {"loss": "0.1"}}}, "loss is '0.1', expected a probability"),
        ({"default": {"measurement": {"reorder": "no"}}}, "reorder is 'no', expected true or false"),
        ({"default": {"measurement": {"outages": [["a", "b"]]}}}, "outages is .*expected .from_s, to_s"),
        ({"age_feature": "false"}, r"scada\.age_feature is 'false', expected true or false"),
    ],
)
def test_settings_of_the_link_are_checked(settings, expected):
    with pytest.raises(OptionError, match=expected):
        World(CounterGrid(), LinkConfig.from_dict(settings)).reset(0)


def test_a_part_of_the_link_may_be_left_empty():
    assert LinkConfig.from_dict({"default": None, "agents": None}) == LinkConfig()
    assert LinkConfig.from_dict({"age_feature": True}).age_feature is True


def test_an_agents_own_link_is_laid_over_the_default():
    config = LinkConfig.from_dict(
        {
            "default": {"measurement": {"loss": 0.1, "delay": {"fixed": 2}}},
            "agents": {"left": {"measurement": {"delay": {"fixed": 5}}}},
        }
    )
    assert config.of("left").measurement.loss == 0.1
    assert config.of("left").measurement.delay.fixed == 5
    assert config.of("right").measurement.delay.fixed == 2
