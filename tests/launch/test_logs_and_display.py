"""What of the nodes' words reaches the console, and how a run shows itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from broker.messages import NodeStatus
from launch.display import LiveDisplay, PlainDisplay, View, duration, plain_line
from launch.logs import Level, LogFollower, tail
from launch.program import Kind, Node
from launch.restart import NEVER, RestartPolicy
from launch.state import Slot, progress, row


def follow(tmp_path: Path, text: str) -> list[tuple[Level, str]]:
    path = tmp_path / "a.log"
    path.write_text(text)
    return [(line.level, line.text) for line in LogFollower("a", path).new_lines()]


def test_a_line_without_a_level_belongs_to_the_one_before(tmp_path: Path) -> None:
    lines = follow(
        tmp_path,
        "2026-01-02 03:04:05,678 INFO agents: fine\n  and more\n"
        "2026-01-02 03:04:05,678 ERROR agents: bad\n  because of this\n"
        "2026-01-02 03:04:06,678 INFO agents: fine again\n",
    )
    assert [level for level, _ in lines] == [Level.INFO, Level.INFO, Level.ERROR, Level.ERROR, Level.INFO]
    assert lines[2][1] == "ERROR agents: bad"


def test_tracebacks_and_python_warnings_are_noticed(tmp_path: Path) -> None:
    lines = follow(
        tmp_path,
        "hello\nx.py:3: UserWarning: odd\n  x()\n"
        "Traceback (most recent call last):\n  File x\nValueError: no\n",
    )
    assert [level for level, _ in lines] == [Level.INFO] + [Level.WARNING] * 2 + [Level.ERROR] * 3


def test_only_whole_lines_are_read_and_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    follower = LogFollower("a", path)
    assert list(follower.new_lines()) == []
    path.write_text("one\ntw")
    assert [line.text for line in follower.new_lines()] == ["one"]
    with path.open("a") as log:
        log.write("o\nthree\n")
    assert [line.text for line in follower.new_lines()] == ["two", "three"]
    assert list(follower.new_lines()) == []


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    assert tail(path) == "    (the log is empty)"
    path.write_text("".join(f"{n}\n" for n in range(100)))
    assert tail(path, lines=2) == "    98\n    99"


def slot(name: str, kind: Kind, tick: int, **figures: object) -> Slot:
    node = Node(name, kind, "m", (), NEVER, finite=kind == Kind.AGENT)
    result = Slot(node)
    result.begin(None)
    result.hear(NodeStatus("running", tick, 9, 8, 2, 0, json.dumps(figures) if figures else ""))
    return result


def test_progress_is_that_of_the_agent_furthest_behind() -> None:
    simulator = slot("simulator", Kind.SIMULATOR, tick=250)
    ahead = slot("a", Kind.AGENT, tick=200, updates=2)
    behind = slot("b", Kind.AGENT, tick=100, updates=1)
    ruled = slot("c", Kind.AGENT, tick=250, ticks=230)
    assert progress([simulator, ahead], n_steps=100, total=400) == 250
    assert progress([simulator, ahead, behind], n_steps=100, total=400) == 200
    assert progress([simulator, ahead, ruled], n_steps=100, total=400) == 230
    ahead.finished = True
    assert progress([simulator, ahead], n_steps=100, total=400) == 400


def test_ticks_of_a_new_epoch_do_not_run_backwards() -> None:
    simulator = slot("simulator", Kind.SIMULATOR, tick=3)
    learner = slot("a", Kind.AGENT, tick=200, updates=2)
    assert progress([simulator, learner], n_steps=100, total=400) == 200


def test_a_row_shows_what_the_node_says_of_itself() -> None:
    shown = row(slot("a", Kind.AGENT, tick=200, updates=2, reward=-0.123456))
    assert (shown.state, shown.tick, shown.updates, shown.reward, shown.lost) == (
        "running",
        "200",
        "2",
        "-0.1235",
        "2",
    )


def picture() -> View:
    rows = [row(slot("simulator", Kind.SIMULATOR, tick=50)), row(slot("a", Kind.AGENT, tick=50, reward=1.5))]
    return View("case", rows, done_ticks=50, total_ticks=200, elapsed_s=61.0, eta_s=183.0)


def test_the_plain_line_has_progress_reward_and_what_is_left() -> None:
    line = plain_line(picture())
    assert "tick 50/200 (25 %)" in line
    assert "2 running" in line
    assert "mean reward 1.5" in line
    assert "about 3:03 min left" in line


def test_without_a_terminal_lines_come_seldom_and_without_control_codes() -> None:
    out = io.StringIO()
    with PlainDisplay(Console(file=out)) as display:
        for _ in range(10):
            display.show(picture())
        display.show_last(picture())
        display.say("text with [brackets] stays", Level.WARNING)
    assert out.getvalue().count("tick 50/200") == 2
    assert "[brackets]" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_there_is_a_table_of_all_nodes() -> None:
    out = io.StringIO()
    with LiveDisplay(Console(file=out, force_terminal=True, width=100)) as display:
        display.show(picture())
    assert "simulator" in out.getvalue()
    assert "updates" in out.getvalue()
    assert "\x1b[" in out.getvalue()


def test_durations_are_readable() -> None:
    assert [duration(s) for s in (5, 65, 3723)] == ["5 s", "1:05 min", "1:02:03"]


def test_back_off_grows_to_its_limit_and_restarts_are_counted() -> None:
    policy = RestartPolicy(max_restarts=3, first_delay_s=1.0, factor=3.0, longest_delay_s=5.0)
    assert [policy.delay_s(n) for n in range(3)] == [1.0, 3.0, 5.0]
    assert [policy.allows(n) for n in range(5)] == [True, True, True, False, False]
    assert not NEVER.allows(0)
