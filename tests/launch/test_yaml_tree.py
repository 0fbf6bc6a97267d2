"""A launch file's YAML: every value knows its line, and looks like what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.errors import LaunchFileError
from launch.yaml_tree import parse_scalar, parse_yaml, read_yaml


def test_every_value_knows_its_line() -> None:
    tree = parse_yaml("name: x\nagents:\n  n_steps: 3\n  list:\n    - 1\n    - 2\n", "f.yaml")
    assert tree.place(("name",)) == "f.yaml:1"
    assert tree.place(("agents", "n_steps")) == "f.yaml:3"
    assert tree.place(("agents", "list", 1)) == "f.yaml:6"
    assert tree.place(("agents", "absent", "deeper")) == "f.yaml:2"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1e3", 1000.0), ("on", "on"), ("yes", "yes"), ("1:30", "1:30"), ("true", True),
     ("~", None), ("", None), ("0x10", 16), ("007", "007"), ("-2", -2), (".5", 0.5), (".inf", float("inf")),
     ("[1, 2]", [1, 2]), ("tcp://host:5550", "tcp://host:5550"), ("a: b: c", "a: b: c")],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    got = parse_scalar(text)
    assert got == value
    assert type(got) is type(value)


def test_a_name_used_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(LaunchFileError, match=r"f.yaml:3: west: the name is used twice, first at f.yaml:2"):
        parse_yaml("overrides:\n  west: {}\n  west: {}\n", "f.yaml")


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(LaunchFileError, match="alias refers to a value that contains it"):
        parse_yaml("a: &a\n  b: *a\n", "f.yaml")


def test_broken_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(LaunchFileError, match=r"f.yaml:2: not valid YAML"):
        parse_yaml("a: 1\nb: {c: [}\n", "f.yaml")


def test_a_reference_in_braces_needs_quotes_and_the_error_says_so() -> None:
    with pytest.raises(LaunchFileError, match=r"put \$\{name\} in quotes"):
        parse_yaml("a: {lr: ${lr}}\n", "f.yaml")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchFileError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LaunchFileError, match="not UTF-8"):
        read_yaml(binary)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "only words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(LaunchFileError, match="expected a mapping"):
        read_yaml(file)
