"""Options, partitions and environment names are checked before anything runs."""

from __future__ import annotations

import json

import pytest

from simulator.errors import OptionError, PartitionError, UnknownGridError
from simulator.partition import parse_partition
from simulator.transmission.clusters import assign, neighbours
from simulator.transmission.environment import make_environment
from simulator.transmission.family import agent_names, make_grid
from simulator.transmission.options import Options, read_options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"gates": 0.9}, "gates"), ({"gate": -1}, "gate"), ({"gate": float("nan")}, "gate"),
        ({"workers": -1}, "workers"), ({"workers": True}, "workers"), ({"test": "yes"}, "test"),
        ({"kinds": []}, "kinds"), ({"kinds": ["set_bus", "jump"]}, "kinds"), ({"kinds": "set_bus"}, "kinds"),
        ({"split": "validation"}, "split"), ({"max_steps": 0}, "max_steps"), ({"actions": "all"}, "actions"),
        ({"scenarios": []}, "scenarios"), ({"scenarios": [[0]]}, "scenarios"),
        ({"scenarios": [[0, -1]]}, "scenarios"), ({"scenarios": [5]}, "scenarios"),
        ({"scenarios": [None]}, "scenarios"), ({"scenarios": [{"chronic": 0, "start": 0}]}, "scenarios"),
        ({"scenarios": ["01"]}, "scenarios"), ({"kinds": [{}]}, "kinds"), ({"chronics": [1]}, "chronics"),
        ({"chronics": ["000", 1]}, "chronics"), ({"cooldown_line": 1.5}, "cooldown_line"),
        ({"reward": "mine"}, "reward"), ({"reward_margin": "much"}, "reward_margin"),
        ({"partition": 3}, "partition"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(options, named):
    with pytest.raises(OptionError, match=named):
        read_options(options)


@pytest.mark.parametrize(
    "options", [{"chronics": ["007"]}, {"scenarios": [[2, 0]]}, {"scenarios": [[0, 99999]]}]
)
def test_chronics_that_do_not_exist_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        make_grid("grid2op:rte_case14_realistic", 1, 0, **options)


def test_a_split_without_days_is_refused():
    grid = make_grid("grid2op:rte_case5_example", 1, 0, split="eval")
    grid.close()
    with pytest.raises(OptionError, match="split"):
        make_grid("grid2op:l2rpn_icaps_2021", 1, 0, split="eval").reset()


def test_an_unknown_environment_is_refused_with_the_known_ones():
    with pytest.raises(UnknownGridError, match="rte_case14_realistic"):
        make_environment("rte_case15", Options())


def test_agents_are_named_without_making_the_environment(tmp_path):
    assert agent_names("grid2op:rte_case14_realistic") == ("south", "north")
    assert agent_names("grid2op") == ("south", "north")
    assert agent_names("grid2op:rte_case5_example") == ("grid",)
    both = ("south_topology", "south_continuous", "north_topology", "north_continuous")
    assert agent_names("grid2op:l2rpn_case14_sandbox", actions="both") == both
    own = tmp_path / "mine.json"
    own.write_text(partition_text([0, 1], list(range(2, 14))))
    assert agent_names("grid2op:no_need_to_exist", partition=str(own)) == ("c0", "c1")


def partition_text(*substations, **more):
    clusters = [{"name": f"c{i}", "variables": {"substation": subs}} for i, subs in enumerate(substations)]
    if more:
        clusters[0]["variables"] |= more
    return json.dumps({"format": "gridchorus-partition/1", "clusters": clusters})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (partition_text([0, 1, 2]), r"substations \[3, 4, .* in no cluster"),
        (partition_text(list(range(14)), [14]), "substation 14"),
        (partition_text(list(range(14)), line=[20]), "line 20"),
        (partition_text(list(range(14)), generator=["gen_9_9"]), "gen_9_9"),
        (partition_text(list(range(14)), []), "have no substation"),
    ],
)  # fmt: skip
def test_a_partition_that_does_not_fit_is_refused(system, text, said):
    with pytest.raises(PartitionError, match=said):
        assign(system, parse_partition(text))


def test_what_a_partition_leaves_out_follows_its_substation(system):
    clusters = assign(system, parse_partition(partition_text([0, 1, 2, 3], list(range(4, 14)))))
    assert (clusters.line == clusters.sub[system.line_or_sub]).all()
    assert (clusters.gen == clusters.sub[system.gen_sub]).all()
    assert (clusters.load == clusters.sub[system.load_sub]).all()


def test_elements_may_be_given_by_name(system):
    names = list(system.substations)
    clusters = assign(system, parse_partition(partition_text(names[:5], names[5:], line=["4_5_17"])))
    assert clusters.line[17] == 0


def test_the_published_partition_is_that_of_the_paper(system, clusters):
    assert [i for i in range(14) if clusters.sub[i] == 0] == [0, 1, 2, 4]
    assert [i for i in range(20) if clusters.line[i] == 0] == list(range(7))
    assert neighbours(system, clusters) == {0: (1,), 1: (0,)}
