"""`chorus factorize`: from a name to a partition file that the simulator can use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from launch.factorize_command import app
from simulator.errors import CaseError, UnknownGridError
from simulator.partition import read_partition
from simulator.transmission import sampling

CASE14 = "grid2op:rte_case14_realistic"


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_synthetic_experiment_is_reproduced(tmp_path):
    out = tmp_path / "p.json"
    result = call("synthetic", "--samples", 1500, "--shuffles", 3, "--resamples", 2, "--out", out)
    assert result.exit_code == 0, result.output
    clusters = [c.variables for c in read_partition(out).clusters]
    assert clusters == [{"action": (0, 1), "state": (0, 2, 4)}, {"action": (2,), "state": (1, 3)}]
    document = json.loads(out.read_text())
    assert document["provenance"]["n_samples"] == 1500
    assert len(document["provenance"]["matrix_sha256"]) == 64
    assert document["stability"]["resamples"] == 2
    page = (tmp_path / "p" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
    assert {f.name for f in (tmp_path / "p").glob("*.png")} == {"matrix.png", "graph.png", "stability.png"}


@pytest.mark.timeout(300)
def test_a_transmission_grid_is_sampled_and_divided(tmp_path):
    out = tmp_path / "p.json"
    words = (CASE14, "--samples", 60, "--shuffles", 2, "--resamples", 0, "--threshold", "quantile",
             "--method", "bicluster", "--clusters", 2, "--out", out, "--jobs", 1)  # fmt: skip
    result = call(*words)
    assert result.exit_code == 0, result.output
    partition = read_partition(out)
    for kind, n in (("substation", 14), ("line", 20), ("generator", 5), ("load", 11)):
        members = [i for c in partition.clusters for i in c.variables.get(kind, ())]
        assert sorted(members) == list(range(n))
    assert (tmp_path / "p" / "grid.png").exists()
    before = (tmp_path / "p" / "samples.npz").stat().st_mtime_ns
    assert call(*words).exit_code == 0  # goes on with the samples that are there
    assert (tmp_path / "p" / "samples.npz").stat().st_mtime_ns == before


def test_samples_do_not_depend_on_when_they_were_taken():
    one, other = (sampling.collect("rte_case14_realistic", 4, seed=5, workers=0) for _ in range(2))
    np.testing.assert_array_equal(one.action, other.action)
    np.testing.assert_array_equal(one.rho, other.rho)
    assert one.controllable.tolist() == [1, 2, 3, 4, 5, 8, 12]
    assert one.rho.shape == (7, 20, 4)
    assert np.isfinite(one.rho).all()


@pytest.mark.parametrize("method", ["distance", "random", "published"])
def test_partitions_to_compare_with_need_no_samples(tmp_path, method):
    out = tmp_path / "p.json"
    result = call(CASE14, "--method", method, "--clusters", 2, "--out", out)
    assert result.exit_code == 0, result.output
    partition = read_partition(out)
    assert len(partition.clusters) == 2
    controllable = {1, 2, 3, 4, 5, 8, 12}
    assert all(controllable & set(c.variables["substation"]) for c in partition.clusters)


def test_an_environment_without_choices_is_refused(monkeypatch):
    monkeypatch.setattr(sampling, "MORE_THAN_ELEMENTS", 99)
    with pytest.raises(CaseError, match="no substation has more than 99 elements"):
        sampling.grid_map("rte_case5_example")


def test_an_environment_that_does_not_exist_is_refused():
    with pytest.raises(UnknownGridError, match="no such environment; bundled with grid2op are"):
        sampling.grid_map("case_of_fire")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("synthetic", "--samples", 50, "--k", 50), "50 samples for k = 50"),
        (("grid2op:case_of_fire",), "no such environment"),
        (("absent.csv",), "cannot be read"),
        (("synthetic", "--method", "best"), "method is 'best', expected one of"),
        (("synthetic", "--variant", "gao"), "variant is 'gao'"),
        (("synthetic", "--method", "published"), "needs the map of a grid"),
        (("grid2op:rte_case5_example", "--method", "published"), "14-substation grids only"),
        (("synthetic", "--fdr", 2), "fdr is 2.0, expected a number in (0, 1)"),
        (("synthetic", "--quantile", 1), "quantile is 1.0, expected a number in [0, 1)"),
        (("synthetic", "--samples", 40, "--shuffles", 1), "raise n_shuffles"),
    ],
)
def test_wrong_input_ends_with_one_line_that_says_what_is_wrong(tmp_path, words, says):
    result = call(*words, "--out", tmp_path / "p.json", "--resamples", 0)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [("--fdr", 2), ("--quantile", -0.1), ("--resampling", "all")])
def test_a_wrong_setting_is_found_out_before_the_matrix_is_computed(tmp_path, words):
    assert call("synthetic", *words, "--out", tmp_path / "p.json").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_found_out_first(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = call("synthetic", "--out", tmp_path / "file" / "p.json")
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    result = call("synthetic", "--out", tmp_path / "nowhere" / "p.json")
    assert (result.exit_code, "choose a file in a folder that is there" in result.output) == (2, True)
    assert not (tmp_path / "nowhere").exists()
    result = call("synthetic", "--out", tmp_path / "p.txt")
    assert "give a name that ends in .json" in result.output


def test_help_explains_each_step():
    text = call("--help").output
    for word in ("samples", "matrix", "threshold", "grouping", "stability", "Examples"):
        assert word in text


def test_the_measured_partition_of_case14_says_how_it_was_made_and_fits_the_grid():
    path = Path(sampling.__file__).parent / "data" / "case14_measured.json"
    document = json.loads(path.read_text())
    assert document["provenance"]["n_samples"] == 50_000
    assert document["provenance"]["command"].startswith("chorus factorize grid2op:rte_case14_realistic")
    clusters = [c.variables for c in read_partition(path).clusters]
    assert [c["substation"] for c in clusters] == [(0, 1, 2, 4), (3, 5, 6, 7, 8, 9, 10, 11, 12, 13)]
    assert sorted(i for c in clusters for i in c["line"]) == list(range(20))
