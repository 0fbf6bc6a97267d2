"""Case files are read as they are, and refused with a reason where they describe no microgrid."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from simulator.errors import CaseError
from simulator.microgrid import cases
from simulator.microgrid.seats import electrical_links


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(cases.DATA / "microgrid6", tmp_path / "own")


def replace_in(folder, file, old, new):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def test_the_published_microgrids_have_their_published_sizes():
    for system, n_dg, n_bus, n_load in ((cases.microgrid6(), 6, 11, 4), (cases.microgrid20(), 20, 20, 10)):
        assert (system.n_dg, system.n_bus, system.n_load) == (n_dg, n_bus, n_load)


def test_buses_keep_the_numbers_of_the_case_file():
    system = cases.microgrid6()
    assert system.bus_names == (1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 14)
    assert [system.bus_names[b] for b in system.dg_bus] == [1, 3, 14, 5, 13, 7]


def test_neighbours_are_those_whom_no_other_dg_stands_between():
    links = {(a + 1, b + 1) for a, b in electrical_links(cases.microgrid6())}
    inner = {(a, b) for a in (1, 2, 3, 4, 6) for b in (1, 2, 3, 4, 6) if a < b}
    assert links == inner | {(5, 6)}
    lines = {tuple(sorted(pair)) for pair in cases.microgrid20().line_bus.tolist()}
    assert electrical_links(cases.microgrid20()) == lines


def test_a_copied_case_is_the_same_grid(folder):
    own, published = cases.read_system(folder), cases.microgrid6()
    np.testing.assert_array_equal(own.r, published.r)
    np.testing.assert_array_equal(own.control.consensus, published.control.consensus)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("line.csv", ",l_h", ",l", r"own: line.csv: columns \['l_h'\] are missing"),
        ("line.csv", "1,2,0.0063687437", "1,2,-0.0063687437", "line.csv: r_ohm is -0.0063687437 in entry 1"),
        ("line.csv", "1.68312641e-05", "-1.68312641e-05", "line.csv: l_h is -1.68312641e-05 in entry 1"),
        ("line.csv", "1,2,0.0063687437", "1,2,much", "line.csv, row 2, r_ohm: is 'much'"),
        ("line.csv", "3,2,0.0125310535", "3,3,0.0125310535", r"no lines lead from bus 1 to buses \[3\]"),
        ("load.csv", "4,1.5,", "40,1.5,", r"no lines lead from bus 1 to buses \[40\]"),
        ("load.csv", "4,1.5,0.00265258238", "4,1.5,0", "load.csv: l_h is 0.0 in entry 1"),
        ("dg.csv", "2,3,", "7,3,", r"dg.csv: dg is .* expected 1, 2, ... in order"),
        ("dg.csv", "5.64e-05", "0", "dg.csv: m_p_rad_s_per_w is 0.0 in entry 1"),
        (
            "comm.csv",
            "1,2,6.0",
            "1,9,6.0",
            r"comm.csv: hears has \[.*9.*\], expected numbers of dg.csv, 1 .. 6",
        ),
        ("comm.csv", "1,2,6.0", "1,1,6.0", "a DG hears itself"),
        ("comm.csv", "6,4,6.0\n6,5,6.0\n", "", r"DGs \[6\] never hear of DG 1"),
        ("case.json", '"v_max_v": 590.0', '"v_max_v": 400.0', "v_min_v 480.0 is not below v_max_v 400.0"),
        ("case.json", '"pinned_dg": 1', '"pinned_dg": 9', "pinned_dg is 9, expected 1 .. 6"),
        ("case.json", '"pinned_dg": 1', '"pinned_dg": 1.0', "pinned_dg is 1.0, expected a whole number"),
        ("case.json", '"v_nom_v": 480.0', '"v_nom_v": Infinity', "case.json has .*inf.* all finite"),
        ("case.json", '"consensus_gain"', '"gain"', "case.json has .* expected exactly"),
        ("case.json", "40.0", '"forty"', "case.json has .*forty.* expected numbers"),
    ],
)
def test_a_case_that_is_no_microgrid_is_refused(folder, file, old, new, message):
    replace_in(folder, file, old, new)
    with pytest.raises(CaseError, match=message):
        cases.read_system(folder)


def test_missing_and_empty_files_are_named(folder):
    (folder / "load.csv").write_text("bus,r_ohm,l_h,feeder_r_ohm,feeder_l_h\n")
    with pytest.raises(CaseError, match=r"load.csv: has no rows"):
        cases.read_system(folder)
    (folder / "dg.csv").unlink()
    with pytest.raises(CaseError, match=r"dg.csv: cannot be read"):
        cases.read_system(folder)
    with pytest.raises(CaseError, match="expected at least 3"):
        cases.ring(2)


def test_broken_json_is_named(folder):
    (folder / "case.json").write_text("{")
    with pytest.raises(CaseError, match=r"case.json cannot be read as JSON"):
        cases.read_system(folder)
    (folder / "case.json").write_text(json.dumps([1]))
    with pytest.raises(CaseError, match="expected exactly"):
        cases.read_system(folder)
