"""Messages to text and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from broker import codec
from broker.messages import Action, AppliedAction, NodeStatus, PeerMessage
from broker.schema import BY_NAME
from launch.introspection.build import message_from
from launch.introspection.errors import QuestionError
from launch.introspection.render import as_csv, as_yaml, fields_of, values_of, without_arrays

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
arrays = hnp.arrays(np.int64, shapes) | hnp.arrays(bool, shapes)
floats = hnp.arrays(np.float32, shapes, elements=st.floats(width=32))
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(array=arrays | floats, version=st.integers(-(2**63), 2**63 - 1), leaving=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_echo_prints_in_full_pub_can_read(array, version, leaving):
    message = Action(1, 2, array, version, leaving)
    again = message_from(as_yaml(values_of(message), None), BY_NAME["Action"])
    assert (again.policy_version, again.leaving) == (version, leaving)
    np.testing.assert_array_equal(again.action, array)
    assert again.action.dtype == array.dtype


@given(note=texts, state=texts)
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(note, state):
    message = NodeStatus(state, 1, 2, 3, 4, 5, note)
    assert message_from(as_yaml(values_of(message), None), BY_NAME["NodeStatus"]) == message


def test_fields_keep_their_declared_order_after_a_journey():
    verdicts = np.zeros((1, 2), np.uint8)
    message = AppliedAction(1, 2, verdicts, verdicts.astype(np.int32), np.zeros((1, 3), np.float32), (1, 2))
    received = codec.decode(codec.encode("/grid/applied", message, sender="a"))
    assert [*fields_of(*received)] == [
        "epoch", "tick", "verdicts", "details", "actions", "widths", "header"
    ]  # fmt: skip


def test_floats_of_32_bits_show_the_digits_that_they_have():
    message = PeerMessage(1, 2, np.array([[0.1, np.nan, 1e-8]], np.float32))
    assert as_yaml(values_of(message), None) == "epoch: 1\ntick: 2\ncontent:\n- [0.1, .nan, 1.0e-08]"


def test_arrays_are_cut_to_whole_rows():
    cut = as_yaml({"content": np.zeros((100, 3), np.float32)}, 7)
    assert cut == "content:\n- [0.0, 0.0, 0.0]\n- [0.0, 0.0, 0.0]\n- '...'"
    assert as_yaml({"content": np.zeros((2, 9), np.int64)}, 2) == "content:\n- [0, 0, '...']\n- '...'"
    assert as_yaml({"content": np.zeros((0, 9), np.int64)}, 2) == "content: []"


def test_csv_quotes_text_and_leaves_a_place_for_what_is_none():
    assert as_csv({"a": 1, "b": 'x, "y"', "c": None, "d": np.array([[1.5], [2.0]]), "e": (3, 4)}) == (
        '1,"x, ""y""",,1.5,2.0,3,4'
    )


def test_without_arrays_only_their_shapes_stay():
    assert without_arrays({"a": 1, "b": np.zeros((2, 3), bool)}) == {"a": 1, "b": "<array: |b1 (2, 3)>"}


DEMANDING = [
    name
    for name, schema in BY_NAME.items()
    if any(field.default is dataclasses.MISSING for field in dataclasses.fields(schema.cls))
]


@pytest.mark.parametrize("name", DEMANDING)
def test_a_message_type_says_which_fields_it_must_have(name):
    with pytest.raises(QuestionError, match=f"^{name}: got no "):
        message_from("{}", BY_NAME[name])
