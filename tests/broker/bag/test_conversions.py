"""Bags to other forms and back: nothing goes missing without a word."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from typer.testing import CliRunner

from broker import Node, codec
from broker.bag import convert, rewrite
from broker.bag.convert import Selection
from broker.bag.csv_import import import_csv
from broker.bag.errors import BagError
from broker.bag.reader import Bag
from broker.bag.recorded import Damage
from broker.bag.verify import verify
from broker.messages import Clock, GridDescription, Observation
from broker.topics import check_node
from launch.commands import chorus
from tests.broker.bag.bags import START_NS, flip, frames_of, observation, room, sample, with_foreign, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return sample(tmp_path / "b.mcap", count=100)


def test_json_lines_hold_every_message_with_its_numbers(path: Path, tmp_path: Path) -> None:
    with Bag(path) as bag:
        done = convert.to_jsonl(bag, tmp_path / "b.jsonl", Selection())
    records = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert done.messages == len(records) == 101
    assert done.skipped == 0
    third = records[3]
    assert (third["topic"], third["type"], third["seq"]) == ("/grid/observation/a", "Observation", 1)
    assert np.array_equal(np.array(third["message"]["obs"], np.float32), observation(2).obs)
    assert third["publish_ns"] == START_NS + 3_000_000


def test_csv_has_a_file_per_topic_and_a_column_per_number(path: Path, tmp_path: Path) -> None:
    with Bag(path) as bag:
        done = convert.to_csv(bag, tmp_path / "csv", Selection())
    assert sorted(p.name for p in done.files) == [
        "grid.observation.a.csv",
        "grid.observation.b.csv",
        "latched.csv",
    ]
    with (tmp_path / "csv" / "grid.observation.b.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert np.float32(rows[1]["obs[1,7]"]) == observation(3).obs[1, 7]
    assert rows[1]["tick"] == "3"


def test_parquet_without_pyarrow_says_what_to_install(path: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("pyarrow"):
        with Bag(path) as bag:
            assert convert.to_parquet(bag, tmp_path / "out", Selection()).messages == 101
    else:
        with Bag(path) as bag, pytest.raises(BagError, match=r"gridchorus\[parquet\]"):
            convert.to_parquet(bag, tmp_path / "out", Selection())


def test_json_in_mcap_is_read_by_generic_tools(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "json.mcap"
    assert rewrite.as_json(path, out).messages == 101
    with out.open("rb") as file:
        read = [
            (channel, json.loads(message.data))
            for _, channel, message in make_reader(file).iter_messages(topics=["/grid/observation/a"])
        ]
    assert len(read) == 50
    assert read[0][0].message_encoding == "json"
    assert np.allclose(read[2][1]["obs"], observation(4).obs)
    assert verify(out).whole


def test_a_message_that_cannot_be_converted_is_an_error_or_is_counted(tmp_path: Path) -> None:
    good = frames_of("/t", Clock(1, 0, 0.0), 0)
    shorter = frames_of("/t", observation(1, width=600), 2)[:-1]  # its array is missing
    path = write(tmp_path / "b.mcap", [(good, START_NS), (shorter, START_NS + 1)])
    with Bag(path) as bag:
        with pytest.raises(BagError, match="number 2 from simulator: an array cannot be read"):
            convert.to_jsonl(bag, tmp_path / "a.jsonl", Selection())
        done = convert.to_jsonl(bag, tmp_path / "b.jsonl", Selection(skip_damaged=True))
    assert (done.messages, done.skipped) == (1, 1)


def test_what_is_no_message_is_skipped_and_counted_in_every_form(tmp_path: Path) -> None:
    path = with_foreign(tmp_path / "b.mcap")
    for form, out in (("jsonl", "a.jsonl"), ("csv", "csv"), ("json-mcap", "c.mcap")):
        words = ("convert", str(path), "-f", form, "-o", str(tmp_path / out))
        code, text = chorus_bag(*words)
        assert code == 2
        assert "no message of the bus; --skip-damaged goes on without it, and counts" in text
        code, text = chorus_bag(*words, "--skip-damaged")
        assert (code, "2 messages, 1 skipped" in text) == (0, True), text


def test_a_damaged_chunk_is_counted_once_however_many_files_are_made(path: Path, tmp_path: Path) -> None:
    flip(path, 1)
    with Bag(path) as bag:
        done = convert.to_csv(bag, tmp_path / "csv", Selection(skip_damaged=True))
    assert (done.messages, done.skipped, len(done.files)) == (51, 1, 3)


def test_a_filter_skips_the_damage_before_its_start_too(path: Path, tmp_path: Path) -> None:
    flip(path, 0)  # the latched value is in it
    wanted = rewrite.Filter(start_s=0.06)
    with pytest.raises(BagError, match="chunk at byte"):
        rewrite.filtered(path, tmp_path / "a.mcap", wanted)
    done = rewrite.filtered(path, tmp_path / "a.mcap", wanted, Damage.SKIP)
    assert (done.messages, done.skipped) == (41, 1)


def test_merged_bags_are_in_the_order_of_time(tmp_path: Path) -> None:
    first = write(
        tmp_path / "a.mcap",
        [(frames_of("/a", Clock(1, i, 0.0), i), START_NS + 10 * i) for i in range(100)],
    )
    second = write(
        tmp_path / "b.mcap",
        [(frames_of("/b", Clock(1, i, 0.0), i, "other"), START_NS + 10 * i + 5) for i in range(100)],
    )
    out = tmp_path / "merged.mcap"
    assert rewrite.merge([first, second], out).messages == 200
    with Bag(out) as bag:
        stamps = [m.receive_ns for m in bag.messages()]
        assert stamps == [START_NS + 5 * i for i in range(200)]
    assert verify(out).whole


def test_a_filtered_bag_keeps_bytes_and_latched_values(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mcap"
    rewrite.filtered(path, out, rewrite.Filter(regex="/latched|.*/a", start_s=0.05, end_s=0.08))
    with Bag(out) as bag, Bag(path) as whole:
        kept = [m.frames for m in bag.messages()]
        wanted = [m.frames for m in whole.messages(["/grid/observation/a"])]
        assert kept[0] == next(whole.messages(["/latched"])).frames
        assert kept[1:] == wanted[25:40]
    with pytest.raises(BagError, match="there is no topic /nowhere in it"):
        rewrite.filtered(path, tmp_path / "x.mcap", rewrite.Filter(topics=["/nowhere"]))


MAPPING = """
grid: feeder7
dt_s: 60.0
time: {column: time, unit: s}
agents:
  west:
    features:
      - {column: U1, name: voltage_1, unit: pu, scale: 0.0025}
      - {column: P1, name: load_1, unit: MW, offset: 1.0}
    action: {kind: discrete, n: 3}
"""
TABLE = "time,U1,P1,remark\n100,400,2.5,a\n160,404,2.0,b\n220,396,1.5,c\n"


def imported(tmp_path: Path, table: str = TABLE, mapping: str = MAPPING) -> Path:
    (tmp_path / "t.csv").write_text(table)
    (tmp_path / "m.yaml").write_text(mapping)
    out = tmp_path / "imported.mcap"
    assert import_csv(tmp_path / "t.csv", tmp_path / "m.yaml", out) == table.count("\n") - 1
    return out


def test_measurements_become_observations_with_names_and_units(tmp_path: Path) -> None:
    with Bag(imported(tmp_path)) as bag:
        (first,) = bag.messages(["/grid/description"])
        description = codec.decode(first.frames, GridDescription).message
        read = [codec.decode(m.frames, Observation) for m in bag.messages(["/grid/observation/west"])]
        assert [m.receive_ns for m in bag.messages(["/clock"])] == [10**9 * t for t in (100, 160, 220)]
    assert json.loads(description.features)["agents"]["west"]["observation"] == [
        ["voltage_1", "pu"],
        ["load_1", "MW"],
    ]
    assert [r.message.obs.tolist() for r in read] == [
        [[1.0, 3.5]],
        [[np.float32(1.01).item(), 3.0]],
        [[np.float32(0.99).item(), 2.5]],
    ]
    assert [r.header.time_s for r in read] == [0.0, 60.0, 120.0]


@pytest.mark.parametrize(
    ("table", "mapping", "complaint"),
    [
        (TABLE.replace("U1", "V1"), MAPPING, r"there is no column U1; it has time, V1, P1, remark"),
        (TABLE.replace("404", "high"), MAPPING, r"t\.csv:3: column U1: 'high' is no number"),
        (TABLE.replace("160", "noon"), MAPPING, r"t\.csv:3: column time: 'noon' is no time in s"),
        (TABLE.replace("220", "150"), MAPPING, r"t\.csv:4: time 150 is not after that of the row before"),
        ("time,U1,P1\n", MAPPING, "no rows"),
        (TABLE, MAPPING.replace("grid:", "net:"), "'grid' is missing"),
        (TABLE, MAPPING.replace("unit: s}", "unit: h}"), "time.unit is 'h', expected s, ms"),
        (TABLE, MAPPING.replace("scale:", "factor:"), "a feature has column, name, unit, scale, offset"),
        (TABLE, MAPPING.replace("60.0", "soon"), "could not convert string to float: 'soon'"),
        (TABLE, "a: [", "is no YAML"),
    ],
)
def test_tables_and_mappings_that_do_not_fit_are_refused(
    tmp_path: Path, table: str, mapping: str, complaint: str
) -> None:
    with pytest.raises(BagError, match=complaint):
        imported(tmp_path, table, mapping)
    assert not (tmp_path / "imported.mcap").exists()


def chorus_bag(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(chorus, ["bag", *words])
    return result.exit_code, result.output + result.stderr


def test_the_command_shows_checks_and_converts(path: Path, tmp_path: Path) -> None:
    code, text = chorus_bag("info", str(path))
    assert code == 0
    assert "Messages:    101" in text
    assert "Topic: /latched | Type: Clock | Count: 1 | latched | gridchorus" in text
    code, text = chorus_bag("verify", str(path))
    assert (code, "whole; 101 messages in 3 chunks, 0 lost" in text) == (0, True)
    code, text = chorus_bag("convert", str(path), "-f", "csv", "-o", str(tmp_path / "out"))
    assert (code, "101 messages, 0 skipped" in text) == (0, True)
    code, text = chorus_bag("convert", str(path), "-o", str(tmp_path / "out"))
    assert (code, "exists already" in text) == (2, True)
    code, text = chorus_bag("convert", str(path), "-o", str(tmp_path / "nowhere" / "x.jsonl"))
    assert (code, "cannot be written: there is no folder" in text) == (2, True)
    path.write_bytes(path.read_bytes()[:-500])
    code, text = chorus_bag("info", str(path))
    assert (code, "NO INDEX" in text) == (0, True)
    code, text = chorus_bag("verify", str(path))
    assert (code, "FAULT" in text) == (1, True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("record",), "say what: -a for all topics"),
        (("play", "x", "--rate", "fast"), "--rate: got 'fast', expected a positive number or max"),
        (("play", "x", "--remap", "a=b"), "expected /topic/in/bag:=/topic/on/bus"),
        (("info", "/nowhere"), "there is no such bag"),
        (("filter", "x", "-o", "y", "-e", "["), "filter: regex '[' is no regular expression"),
        (("filter", "x", "-o", "y", "-x", "["), "filter: exclude '[' is no regular expression"),
        (("play", "x", "-x", "[", "--broker", "memory://x"), "player: exclude '[' is no regular expression"),
        (("record", "-a", "--broker", "foo"), "broker address 'foo': expected tcp://host:port"),
        (("record", "-a", "-d", "0", "--broker", "memory://x"), "max_duration_s is 0.0, expected a positive"),
        (("import", "/nowhere", "-m", "/nowhere", "-o", "y"), "/nowhere: cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(words: tuple[str, ...], complaint: str) -> None:
    code, text = chorus_bag(*words)
    assert code == 2
    assert complaint in text
    assert "records to" not in text


def test_a_disk_that_is_full_is_no_wrong_input(path: Path, tmp_path: Path) -> None:
    with room(100):
        code, text = chorus_bag("convert", str(path), "-o", str(tmp_path / "out.jsonl"))
    assert (code, "cannot be written" in text) == (1, True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """Names and settings of the nodes that the command would be."""
    nodes: list[tuple[str, dict[str, object]]] = []

    def serve(name: str, _address: str, settings: dict[str, object], _build: object) -> int:
        nodes.append((name, settings))
        return 0

    monkeypatch.setattr("launch.bag_command.serve", serve)
    return nodes


def test_a_recorder_has_a_name_of_its_own_unless_it_is_given_one(started: list) -> None:
    name = f"recorder_{os.getpid()}"
    for expected, there in (("recorder", "other"), (name, "recorder")):
        with Node(there, "memory://x") as node:
            node.ready()
            code, text = chorus_bag("record", "-a", "-o", "x", "--broker", "memory://x")
        assert (code, f"{expected} records to x; Ctrl-C ends it" in text) == (0, True)
    code, text = chorus_bag("record", "-a", "--snapshot", "5", "--name", "ear", "--broker", "memory://x")
    assert "when /ear/control is asked for a snapshot" in text
    assert [found for found, _ in started] == ["recorder", name, "ear"]
    assert check_node(name) == name


@pytest.mark.parametrize(
    "words", [("-b", "9", "-d", "3"), ("--max-bag-size", "9", "--max-bag-duration", "3")]
)
def test_a_recorder_takes_the_words_of_ros_2(started: list, words: tuple[str, ...]) -> None:
    assert chorus_bag("record", "-a", *words, "--broker", "memory://x")[0] == 0
    ((_, settings),) = started
    assert (settings["max_size"], settings["max_duration_s"]) == (9, 3.0)


def test_every_byte_is_played_as_it_was_unless_the_nodes_have_heard_it(started: list) -> None:
    for words in ((), ("--again",)):
        assert chorus_bag("play", "x", *words, "--broker", "memory://x")[0] == 0
    assert [settings["as_recorded"] for _, settings in started] == [True, False]
