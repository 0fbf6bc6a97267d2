"""`chorus topic echo`: what is printed, what is chosen, what is refused."""

from __future__ import annotations

import csv
import json

import pytest
import yaml

pytestmark = pytest.mark.timeout(60)


def documents(text):
    return [yaml.safe_load(part) for part in text.split("\n---\n") if part.strip()]


def test_messages_are_yaml_documents_in_the_order_of_the_ticks(run):
    clocks = documents(run("topic", "echo", "/clock", "-n", "3").stdout)
    assert [list(clock) for clock in clocks] == [["epoch", "tick", "time_s"]] * 3
    first = clocks[0]["tick"]
    assert [clock["tick"] for clock in clocks] == [first, first + 1, first + 2]


def test_a_latched_value_is_printed_at_once(run):
    (description,) = documents(run("topic", "echo", "--once", "-f", "/grid/description").stdout)
    assert description["agents"] == ["block_0", "block_1"]
    assert json.loads(description["spaces"]).keys() == {"block_0", "block_1"}


def test_long_fields_are_cut_unless_all_is_asked_for(run):
    cut = documents(run("topic", "echo", "--once", "-l", "10", "/grid/description").stdout)[0]
    assert cut["spaces"].endswith("...")
    assert len(cut["spaces"]) == 13
    state = documents(run("topic", "echo", "--once", "-l", "2", "--field", "state[0]", "/grid/state").stdout)[
        0
    ]
    assert (len(state), state[-1]) == (3, "...")


def test_one_field_or_an_expression_of_fields(run):
    (row,) = documents(
        run("topic", "echo", "--once", "--field", "obs[0]", "/grid/observation/block_0").stdout
    )
    assert len(row) > 1
    (number,) = documents(run("topic", "echo", "--once", "--field", "header.seq", "/clock").stdout)
    assert number > 0
    (sender,) = documents(run("topic", "echo", "--once", "--field", "m.header.sender", "/clock").stdout)
    assert sender == "simulator"
    (count,) = documents(
        run("topic", "echo", "--once", "--field", "len(obs)", "/grid/observation/block_0").stdout
    )
    assert count == 2


def test_arrays_can_be_shown_by_their_shapes_and_the_header_too(run):
    (state,) = documents(run("topic", "echo", "--once", "--no-arr", "--header", "/grid/state").stdout)
    assert state["rewards"] == "<array: <f4 (2, 2)>"
    assert next(iter(state)) == "header"
    assert state["header"]["type"] == "GridState"


def test_csv_has_one_line_per_message_with_every_number(run):
    lines = list(
        csv.reader(run("topic", "echo", "--csv", "-n", "2", "/agents/block_0/action").stdout.splitlines())
    )
    assert len(lines) == 2
    assert [len(line) for line in lines] == [2 + 2 * 2 + 2] * 2  # epoch, tick, 2 copies of 2 numbers, ...
    text = run("topic", "echo", "--csv", "--once", "--field", "spaces", "/grid/description").stdout
    (line,) = csv.reader(text.splitlines())
    assert len(line) == 1  # the commas of JSON are inside quotes
    assert json.loads(line[0]).keys() == {"block_0", "block_1"}


def test_a_filter_lets_through_what_it_says(run):
    done = run(
        "topic", "echo", "/clock", "--filter", "tick % 5 == 0 and epoch == 1", "--field", "tick", "-n", "2"
    )
    first, second = documents(done.stdout)
    assert first % 5 == 0
    assert second == first + 5


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("/clock", "--field", "tik"), "'tik': there is no field 'tik'; did you mean tick?"),
        (("/clock", "--filter", "header.sendr > 1"), "there is no field 'sendr'; did you mean sender?"),
        (("/clock", "--filter", "tick >"), "'tick >': is no expression: "),
        (("/clock", "--filter", "tick > 'a'"), "\"tick > 'a'\": '>' not supported between"),
        (
            ("/grid/state", "--filter", "rewards > -1e9"),
            "gives (2, 2) values, expected one; use any(...) or all(",
        ),
        (("/clock", "--field", "time_s[0]"), "'time_s[0]': 'float' object is not subscriptable"),
        (("/clock", "Action"), "topic /clock: carries Clock, not Action"),
        (("/no/such", "Clok"), "message type Clok: there is none of that name; did you mean Clock?"),
        (("no-slash", "Clock"), "'no-slash' is no topic or service name"),
    ],
)
def test_a_question_that_cannot_be_is_an_error(run, words, complaint):
    done = run("topic", "echo", *words)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
