"""Samples and recordings: what is read is what was written, and what is wrong is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorization.errors import SampleError
from factorization.recordings import read_recording
from factorization.samples import Samples, Variable, from_columns


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("line:3", Variable("line", 3)),
        ("line_12", Variable("line", 12)),
        ("s0", Variable("s", 0)),
        ("rho", Variable("variable", "rho")),
        ("bus:north", Variable("bus", "north")),
    ],
)
def test_names_of_columns_become_variables(name, variable):
    assert Variable.parse(name) == variable


@given(st.sampled_from(["line", "substation", "state"]), st.integers(0, 9999))
def test_a_variable_survives_being_written_and_parsed(kind, number):
    assert Variable.parse(f"{kind}:{number}") == Variable(kind, number)


def test_a_component_before_and_after_is_one_variable():
    samples = from_columns("test", {"s0": [1, 2], "a0": [3, 4]}, {"s0": [5, 6]})
    assert samples.variables == (Variable("s", 0), Variable("a", 0))


def test_consecutive_rows_of_a_recording_are_steps(tmp_path):
    path = tmp_path / "bag.csv"
    path.write_text("episode,s0,switch\n0,1.0,open\n0,2.0,shut\n1,3.0,open\n1,4.0,open\n")
    samples = read_recording(path, labels=["switch"])
    assert samples.targets == (Variable("s", 0),)
    np.testing.assert_array_equal(samples.before, [[1, 3], [0, 0]])
    np.testing.assert_array_equal(samples.after, [[2, 4]])
    assert samples.labels == {Variable("variable", "switch")}


def test_a_recording_may_hold_the_next_state_itself(tmp_path):
    path = tmp_path / "bag.npz"
    np.savez(path, s0=np.arange(4.0), a0=np.arange(4), s0_next=np.arange(4.0) + 1)
    samples = read_recording(path)
    assert (samples.n, samples.inputs, samples.targets) == (
        4, (Variable("s", 0), Variable("a", 0)), (Variable("s", 0),)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bag.csv", "s0,s1\n1,2\n3\n", r"line 3: 1 cells, expected 2"),
        ("bag.csv", "s0,s1\n1,2,3\n", r"line 2: 3 cells, expected 2"),
        ("bag.csv", "", "is empty; expected names of columns"),
        ("bag.csv", "s0,s1,s0\n1,2,3\n", r"several columns are called \['s0'\]; give each a name of its own"),
        ("bag.csv", "s0;s1\n1;2\n", "separate columns by commas, not semicolons"),
        ("bag.csv", "s0,s1\n1,2\n1,\n", "line 3: column s1 is empty; fill it in, or remove the line"),
        ("bag.csv", "s0,s1\n1,2\n1,on\n", "line 3: column s1 is 'on', expected .* say --label s1"),
        ("bag.csv", "s0,s0_next\n1,on\n", "line 2: column s0_next is 'on', .* cannot be a label"),
        ("bag.csv", "s0\n1\nnan\n2\n", "s0 has 1 values that are not finite"),
        ("bag.npz", "not an archive", "cannot be read"),
        ("bag.txt", "s0\n1\n", "unknown kind of file '.txt'"),
    ],
)
def test_a_broken_recording_is_refused(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(SampleError, match=says):
        read_recording(path)


def test_a_recording_that_lacks_a_named_column_or_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "bag.csv"
    path.write_text("s0\n1\n2\n")
    with pytest.raises(SampleError, match=r"has no columns \['breaker'\]; it has \['s0'\]"):
        read_recording(path, labels=["breaker"])
    with pytest.raises(SampleError, match="cannot be read"):
        read_recording(tmp_path / "absent.csv")


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(SampleError, match="columns have different lengths"):
        from_columns("test", {"a": [1, 2, 3]}, {"b": [1, 2]})


def test_arrays_that_do_not_fit_together_are_refused():
    a, b = (Variable("a", 0),), (Variable("b", 0),)
    with pytest.raises(SampleError, match=r"expected \(1, N\)"):
        Samples("test", a, b, np.zeros((1, 5)), np.zeros((1, 4)))
    with pytest.raises(SampleError, match=r"after\[0, 2\] is nan"):
        Samples("test", a, b, np.zeros((1, 3)), np.array([[0, 1, np.nan]]))
    with pytest.raises(SampleError, match="1 inputs and 0 targets"):
        Samples("test", a, (), np.zeros((1, 3)), np.zeros((0, 3)))
