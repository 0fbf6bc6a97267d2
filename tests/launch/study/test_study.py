"""A whole study as a user runs it: trained, interrupted, gone on with, written into a page, trained again."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import psutil
import pytest
from scipy import stats

from launch.imports import ROOT
from tests.ensemble.supervised import assert_all_gone

pytestmark = [pytest.mark.ensemble, pytest.mark.slow, pytest.mark.timeout(180)]

TINY = ROOT / "tests" / "launch" / "study" / "tiny_study.yaml"
SCRIPT = ROOT / "benchmarks" / "learning.py"


def learning(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the harness."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(TINY), "--out", str(folder), *words],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(folder: Path, *words: str) -> tuple[int, str]:
    """Run the harness to its end; return exit code and output."""
    process = learning(folder, *words)
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, output


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a study that was interrupted while it trained, and what going on with it said."""
    folder = tmp_path_factory.mktemp("study") / "out"
    process = learning(folder, "--jobs", "2")
    try:
        until = time.monotonic() + 60
        while not list(folder.glob("*/seed_*/logs")) and time.monotonic() < until:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        nodes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "interrupted; the same command goes on" in output
    assert nodes
    assert_all_gone(nodes, within_s=5.0)
    assert not list(folder.glob("*/seed_*/study.json"))
    code, output = finished(folder, "--jobs", "2")
    assert code == 0, output
    return folder, output


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def returns(folder: Path, policy: str) -> np.ndarray:
    """Return (seeds, scenarios) from the CSV."""
    found: dict[str, list[float]] = {}
    for row in rows(folder):
        if row["policy"] == policy:
            found.setdefault(row["seed"], []).append(float(row["return"]))
    return np.array(list(found.values()))


def table(text: str) -> dict[str, dict[str, str]]:
    """Return policy -> column -> cell of the first table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {cells[0]: dict(zip(heads, cells, strict=True)) for cells in body}


def test_every_policy_seed_and_scenario_has_a_row_and_all_play_the_same_scenarios(study):
    folder, _ = study
    expected = {("usual", str(seed), str(s)) for seed in (0, 1) for s in range(3)}
    expected |= {(policy, "", str(s)) for policy in ("do_nothing", "random") for s in range(3)}
    assert {(row["policy"], row["seed"], row["scenario"]) for row in rows(folder)} == expected
    seeds = {json.loads(path.read_text())["settings"]["seed"] for path in folder.glob("**/evaluation.json")}
    assert len(seeds) == 1
    training = {json.loads(p.read_text())["seed"] for p in folder.glob("**/nodes/simulator.json")}
    assert len(training) == 2
    assert not seeds & training


def test_the_tables_numbers_agree_with_an_independent_computation(study):
    folder, output = study
    found = table(output)
    assert list(found) == ["usual", "do_nothing", "random"]
    for policy, cells in found.items():
        scores = returns(folder, policy)
        value, low, high = map(float, re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", cells["return"]).groups())
        # scipy trims whole scores, so each counts four times: then the quartiles fall between them.
        assert value == pytest.approx(stats.trim_mean(np.repeat(scores, 4), 0.25), rel=1e-3)
        assert float(cells["median"]) == pytest.approx(np.median(scores), rel=1e-3)
        assert low <= value <= high
        for rival in ("do_nothing", "random"):
            pairs = product(range(len(scores)), range(3))
            theirs = returns(folder, rival)[0]
            better = np.mean([np.heaviside(scores[run, s] - theirs[s], 0.5) for run, s in pairs])
            expected = "" if rival == policy else f"{100 * better:.0f} %"
            assert cells[f"better than {rival}"].partition(" [")[0] == expected


def test_what_is_finished_is_kept(study):
    folder, before = study
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("**/evaluation.json")}
    assert len(stamps) == 3  # two runs, and the baselines once
    code, output = finished(folder)
    assert code == 0, output
    assert "2 runs, 2 trained" in output
    assert table(output) == table(before)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("**/evaluation.json")} == stamps


def test_a_finished_run_of_another_configuration_is_not_thrown_away(study):
    folder, _ = study
    code, output = finished(folder, "--updates", "3")
    assert code == 2
    assert "agents.updates is 1, asked 3); give another --out, or remove it" in output
    assert len(list(folder.glob("*/seed_*/study.json"))) == 2


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--jobs", "0"], "expected a whole number, at least 1"),
        (["--seeds", "0"], "--seeds: got '0', expected a number of seeds such as 3"),
        (["--variants", "usal"], "there is no 'usal', did you mean usual?"),
        (
            ["evaluator.episodes=9"],
            "evaluator.episodes is for the study to say: set its `scenarios.episodes`",
        ),
        (["--check-reproducible", "usual", "one"], "got seed 'one', expected a whole number"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, words, fault):
    code, output = finished(tmp_path / "out", *words)
    assert code == 2, output
    assert fault in output


def test_a_page_keeps_its_table_while_something_is_missing(tmp_path):
    page = tmp_path / "results.md"
    page.write_text(text := "<!-- study: tiny-study -->\n| old |\n<!-- end -->\n")
    code, output = finished(tmp_path / "out", "--table-only", "--write", "results.md")
    assert code == 1, output
    assert "not there: usual, seed 0; usual, seed 1; baselines" in output
    assert f"{page} stays as it is" in output
    assert page.read_text() == text


def test_training_a_row_again_gives_the_same_bits(study):
    folder, _ = study
    code, output = finished(folder, "--check-reproducible", "usual", "1")
    assert code == 0, output
    assert "2 of 2 policies have the same SHA-256, 3 of 3 episodes the same return" in output


def test_more_scenarios_train_nothing_anew_and_the_page_gets_table_and_pictures(study, tmp_path):
    folder, _ = study
    wider = tmp_path / "tiny_study.yaml"
    wider.write_text(TINY.read_text().replace("episodes: 3", "episodes: 4"))
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nBefore.\n\n<!-- study: tiny-study -->\nold\n<!-- end -->\n\nAfter.\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(wider), "--out", str(folder), "--write", str(page)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs, 2 trained" in done.stdout
    assert returns(folder, "usual").shape == (2, 4)
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.\n\n<!-- study: tiny-study -->\n\n| policy |")
    assert text.endswith("<!-- end -->\n\nAfter.\n")
    assert "old" not in text
    for name in re.findall(r"\]\((pictures/\S+)\)", text):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "(pictures/learning_tiny-study_profile.png)" in text
