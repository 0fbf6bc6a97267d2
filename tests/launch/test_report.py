"""The report shows what a run has left, and leaves out what it has not."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from launch.evaluation import evaluate, read_results
from launch.report import write_report
from launch.report_data import curves, scores, timings
from tests.launch.finished_run import AGENTS, STEPS, UPDATES, finished_run

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = finished_run(tmp_path_factory.mktemp("finished") / "run<1>")
    evaluate(folder, lambda _: None)
    return folder


def report(folder: Path) -> tuple[str, str]:
    """Return the page and what the terminal shows."""
    out = io.StringIO()
    path = write_report(folder, Console(file=out, width=120))
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8"), out.getvalue()


def pictures(page: str) -> list[bytes]:
    return [base64.b64decode(text) for text in re.findall(r"data:image/png;base64,([^\"]+)\"", page)]


def test_a_whole_run_has_scores_curves_timings_and_its_configuration(run):
    page, terminal = report(run)
    for heading in ("Learning", "Time per tick", "Configuration"):
        assert f"<h2>{heading}</h2>" in page
    for policy in ("ensemble", "do_nothing", "random"):
        assert f"<td>{policy}" in page
        assert policy in terminal
    for node in ("simulator", *AGENTS):
        assert f"<td>{node}</td>" in page
        assert node in terminal
    assert len(pictures(page)) == 3
    assert all(png.startswith(b"\x89PNG\r\n") for png in pictures(page))
    assert "<h1>run&lt;1&gt;</h1>" in page  # names are text, not markup
    assert "note: 5 &lt; 6" in page


def test_an_empty_folder_gives_an_empty_report(tmp_path):
    page, terminal = report(tmp_path)
    assert "<h2>" not in page
    assert not pictures(page)
    assert terminal == ""


@pytest.mark.parametrize(
    ("missing", "heading"), [("evaluation.json", "survived share"), ("timing", "Time per tick")]
)
def test_what_is_missing_is_left_out(run, tmp_path, missing, heading):
    for part in ("evaluation.json", "timing", "tb", "config.yaml"):
        if part != missing:
            (tmp_path / part).symlink_to(run / part)
    page, _ = report(tmp_path)
    assert heading in report(run)[0]
    assert heading not in page
    assert len(pictures(page)) == 2


@pytest.mark.parametrize(
    ("grid", "title"),
    [
        ("synthetic", "3 held-out scenarios (means"),
        ("grid2op", "3 scenarios that training may have met (means"),  # days of one split
    ],
)
def test_the_title_says_whether_the_scenarios_were_held_out(run, tmp_path, grid, title):
    (tmp_path / "evaluation.json").symlink_to(run / "evaluation.json")
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "simulator.json").write_text(json.dumps({"grid": grid, "options": {}}))
    page, terminal = report(tmp_path)
    assert f"<h2>{title}" in page
    assert title in terminal


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "runs" / "tiny-1"))


def test_a_link_to_the_latest_run_is_reported_under_the_name_of_the_run(copy):
    latest = copy.with_name("latest")
    latest.symlink_to(copy.name)
    page, _ = report(latest)
    assert "<h1>tiny-1</h1>" in page
    assert "<title>tiny-1</title>" in page


def test_only_pictures_of_what_was_evaluated_are_shown(copy):
    (copy / "pictures").mkdir()
    for policy in ("random", "pi_agc"):  # the second was evaluated once upon a time
        (copy / "pictures" / f"{policy}.png").write_bytes(policy.encode())
    page, _ = report(copy)
    assert "An episode of random" in page
    assert "pi_agc" not in page
    assert b"random" in pictures(page)


@pytest.mark.parametrize("max_ticks", [None, 5])
def test_episodes_that_were_cut_are_said_to_be_cut(copy, max_ticks):
    document = json.loads((copy / "evaluation.json").read_text())
    document["settings"]["max_ticks"] = max_ticks
    (copy / "evaluation.json").write_text(json.dumps(document))
    for text in report(copy):
        assert ("held-out scenarios of at most 5 ticks (means" in text) is (max_ticks is not None)
        assert ("cut after 5 ticks (evaluator.max_ticks): survived" in text) is (max_ticks is not None)


def test_the_wall_time_of_all_lives_is_told_where_the_run_wrote_it(copy):
    assert "with start and end" not in report(copy)[0]
    (copy / "duration.json").write_text('{"seconds": 321.4}')
    for text in report(copy):
        assert "waiting and learning included; with start and end 321 s" in " ".join(text.split())


def test_scores_are_means_over_the_scenarios_in_the_order_of_playing(run):
    document = json.loads((run / "evaluation.json").read_text())["episodes"]
    found = scores(read_results(run))
    assert [score.policy for score in found] == list(dict.fromkeys(e["policy"] for e in document))
    for score in found:
        returns = [e["episode_return"] for e in document if e["policy"] == score.policy]
        assert score.episodes == len(returns)
        assert score.episode_return.value == pytest.approx(sum(returns) / len(returns))
        assert score.episode_return.low <= score.episode_return.value <= score.episode_return.high
        assert score.metrics.keys() == document[0]["metrics"].keys()


def test_times_are_told_per_tick_of_the_simulator(run):
    (run / "timing" / "critic.json").write_text(json.dumps({"seconds": {"learning": 1.6}, "updates": 2}))
    first, *others = timings(run)
    (run / "timing" / "critic.json").unlink()
    assert (first.node, first.ticks) == ("simulator", STEPS * UPDATES)
    assert [timing.node for timing in others] == ["block_0", "block_1", "critic"]
    assert others[-1].per_tick_ms("learning") == pytest.approx(1600 / (STEPS * UPDATES))
    assert others[-1].per_tick_ms("physics") == 0.0


def test_a_curve_goes_on_through_restarts(tmp_path):
    folder = tmp_path / "tb" / "west"
    folder.mkdir(parents=True)
    head = "time/total_timesteps,rollout/ep_rew_mean\n"
    (folder / "progress.csv").write_text(head + "10,1.0\n20,2.0\n30,\n")
    (folder / "progress-1.csv").write_text(head + "20,2.5\n30,3.0\n")  # from the checkpoint at 10
    (folder / "progress-10.csv").write_text(head + "40,4.0\n")
    (folder / "progress-2.csv").write_text(head + "40,3.5\n50,5.0\n")
    (tmp_path / "tb" / "critic").mkdir()
    (tmp_path / "tb" / "critic" / "progress.csv").write_text("time/total_timesteps,loss\n1,2\n")
    (curve,) = curves(tmp_path, "rollout/ep_rew_mean")
    assert curve.node == "west"
    assert dict(zip(curve.ticks, curve.values, strict=True)) == {10: 1.0, 20: 2.5, 30: 3.0, 40: 4.0, 50: 5.0}
