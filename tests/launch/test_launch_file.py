"""Launch files: arguments, includes, conditions, and what the command line lays over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch.arguments import parse_overrides
from launch.errors import LaunchFileError
from launch.launch_file import read_launch_file
from launch.yaml_tree import parse_yaml


def read(folder: Path, text: str, *words: str, **others: str) -> dict[str, Any]:
    """Write launch files, and return the plain tree of the first."""
    for name, content in others.items():
        (folder / f"{name}.yaml").write_text(content)
    file = folder / "top.yaml"
    file.write_text(text)
    plain = read_launch_file(file, parse_overrides(words)).root.plain()
    assert isinstance(plain, dict)
    return plain


ARGUMENTS = """
arguments:
  count: {default: 4, description: how many}
  rate: 0.5
  name: west
  full: false
"""


def test_arguments_keep_their_type_alone_and_become_text_in_a_text(tmp_path: Path) -> None:
    tree = read(tmp_path, ARGUMENTS + "a: ${count}\nb: ${rate}\nc: run_${name}_${count}\nd: ['${full}']\n")
    assert tree == {"a": 4, "b": 0.5, "c": "run_west_4", "d": [False]}


def test_the_command_line_overrides_arguments_in_both_notations(tmp_path: Path) -> None:
    text = ARGUMENTS + "a: ${count}\nb: ${rate}\nc: ${name}\n"
    assert read(tmp_path, text, "count=7", "rate:=2", "name=5") == {"a": 7, "b": 2.0, "c": "5"}


def test_a_name_with_dots_overrides_a_key_of_the_file(tmp_path: Path) -> None:
    tree = read(tmp_path, "agents: {n_steps: 3}\n", "agents.n_steps=9", "agents.load.x=[1, a]")
    assert tree == {"agents": {"n_steps": 9, "load": {"x": [1, "a"]}}}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["cuont=3"], "command line: cuont: unknown argument, did you mean count?"),
        (["zzz=3"], "command line: zzz: unknown argument, known are count, full, name, rate"),
        (["count=many"], "count: argument is 'many', expected an integer like the default 4"),
        (["count=1.5"], "count: argument is 1.5, expected an integer"),
        (["full=1"], "full: argument is 1, expected true or false"),
        (["count"], "command line: count: expected name=value"),
        (["=3"], "expected name=value"),
        (["count=1", "count=2"], "command line: count: given twice"),
    ],
)
def test_wrong_overrides_are_named(tmp_path: Path, words: list[str], complaint: str) -> None:
    with pytest.raises(LaunchFileError) as caught:
        read(tmp_path, ARGUMENTS, *words)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("arguments: {a: {description: no}}\n", "top.yaml:1: arguments.a: has no default"),
        ("arguments:\n  a: {defualt: 1}\n", "top.yaml:2: arguments.a.defualt: unknown key, did you mean"),
        ("arguments: [a]\n", "top.yaml:1: arguments: got ['a'], expected a mapping"),
        (ARGUMENTS + "a: ${cuont}\n", "top.yaml:7: ${cuont} is no argument of this file, did you mean"),
    ],
)
def test_wrong_arguments_in_a_file_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(LaunchFileError) as caught:
        read(tmp_path, text)
    assert complaint in str(caught.value)


def test_own_keys_override_included_ones_mapping_by_mapping(tmp_path: Path) -> None:
    base = "agents: {n_steps: 1, updates: 2}\nlist: [1, 2]\n"
    tree = read(tmp_path, "include: base.yaml\nagents: {updates: 5}\nlist: [3]\n", base=base)
    assert tree == {"agents": {"n_steps": 1, "updates": 5}, "list": [3]}


def test_includes_take_arguments_of_the_including_file(tmp_path: Path) -> None:
    text = ARGUMENTS + "include:\n  - file: base.yaml\n    arguments: {n: '${count}'}\n"
    assert read(tmp_path, text, "count=9", base="arguments: {n: 1}\nsize: ${n}\n") == {"size": 9}


def test_later_includes_override_earlier_ones(tmp_path: Path) -> None:
    tree = read(tmp_path, "include: [one.yaml, two.yaml]\n", one="a: 1\nb: 1\n", two="b: 2\n")
    assert tree == {"a": 1, "b": 2}


def test_an_include_may_depend_on_a_condition(tmp_path: Path) -> None:
    text = ARGUMENTS + "include:\n  - {file: base.yaml, if: '${full}'}\na: 1\n"
    assert read(tmp_path, text, base="b: 2\n") == {"a": 1}
    assert read(tmp_path, text, "full=true", base="b: 2\n") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("include: none.yaml\n", "top.yaml:1: include: there is no file"),
        ("include: top.yaml\n", "include each other: top.yaml -> top.yaml"),
        ("include: {flie: base.yaml}\n", "include.flie: unknown key, did you mean file?"),
        ("include: [3]\n", "expected the path of a launch file"),
        ("include: {file: base.yaml, arguments: {m: 1}}\n", "top.yaml:1: m: unknown argument, known are n"),
    ],
)
def test_wrong_includes_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(LaunchFileError) as caught:
        read(tmp_path, text, base="arguments: {n: 1}\n")
    assert complaint in str(caught.value)


def test_faults_in_an_included_file_are_placed_there(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("\nagents: {n_steps: 1}\n")
    (tmp_path / "top.yaml").write_text("include: base.yaml\n")
    root = read_launch_file(tmp_path / "top.yaml", parse_overrides([])).root
    assert root.place(("agents", "n_steps")) == f"{tmp_path}/base.yaml:2"


def test_a_section_whose_condition_is_false_is_as_if_not_written(tmp_path: Path) -> None:
    text = ARGUMENTS + "a: {if: '${full}', x: 1}\nb: {unless: '${full}', x: 1}\nc: {d: {if: false}, e: 1}\n"
    assert read(tmp_path, text) == {"b": {"x": 1}, "c": {"e": 1}}
    assert read(tmp_path, text, "full=true") == {"a": {"x": 1}, "c": {"e": 1}}


def test_a_condition_that_is_neither_true_nor_false_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchFileError, match=r"critic.if: got 'maybe', expected true or false"):
        read(tmp_path, "critic: {if: maybe}\n")


numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@given(value=numbers)
@settings(max_examples=50, deadline=None)
def test_a_number_that_python_prints_is_read_back_as_the_same(value: float) -> None:
    got = parse_yaml(f"a: {value!r}", "f").plain()["a"]
    assert got == value
    assert type(got) is type(value)
