"""A case folder becomes a grid, or an error that says where it is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator.errors import CaseError, OptionError
from simulator.frequency import case68, family
from simulator.frequency.case_files import DATA, read_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in DATA.glob("*.csv"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_68_bus_case_has_its_published_size():
    case = case68.load()
    assert (len(case.bus_number), len(case.branch_x_pu), len(case.machine_bus)) == (68, 86, 16)


def test_base_makes_mean_demand_3500_mw():
    system = case68.system()
    assert system.load_mw.sum() == pytest.approx(3500.0)
    assert system.base_mva == pytest.approx(19.195, abs=5e-4)
    assert case68.system(demand_mw=2000.0).load_mw.sum() == pytest.approx(2000.0)


def test_schedule_balances_without_losses():
    system = case68.system()
    assert system.machine_mw.sum() == pytest.approx(system.load_mw.sum())


def test_machine_values_are_converted_from_their_own_base():
    system = case68.system()
    assert system.inertia_s[12] == pytest.approx(2 * 248.0)
    assert system.machine_b[12] == pytest.approx(2 / 0.0055)
    assert system.inertia_s[0] == pytest.approx(42.0)


def test_governors_stand_on_machines_9_to_16():
    system = case68.system()
    assert system.governed.tolist() == list(range(8, 16))
    dispatch = np.array([8.0, 5.0, 10.0, 13.5, 35.91, 17.85, 10.0, 40.0])
    np.testing.assert_allclose(system.governor_gain, 0.6 * 1.2 * dispatch / 0.05)


def test_load_damping_is_one_percent_per_percent():
    system = case68.system()
    assert system.damping.sum() * system.base_mva == pytest.approx(system.load_mw.sum())


def test_twenty_units_are_where_the_sites_say():
    fleet = case68.fleet(case68.load(), 19.195)
    assert len(fleet.names) == 20
    assert {"battery_33", "gas_53", "dr_37"} <= set(fleet.names)
    assert fleet.machine[[fleet.names.index(f"gas_{53 + i}") for i in range(8)]].tolist() == list(range(8))
    assert len(fleet.renewable_bus) == 14
    assert ((fleet.p_start >= fleet.p_min) & (fleet.p_start <= fleet.p_max)).all()


def test_an_isolated_bus_is_refused_by_number(folder: Path):
    edit(folder / "branch.csv", "33,34,", "32,34,")
    edit(folder / "branch.csv", "32,33,", "32,34,")
    edit(folder / "branch.csv", "33,38,", "32,38,")
    with pytest.raises(CaseError, match=r"branch.csv: buses \[33\] are isolated"):
        read_case(folder)


def test_a_missing_column_is_named(folder: Path):
    edit(folder / "branch.csv", "x_pu", "reactance")
    with pytest.raises(CaseError, match=r"branch.csv: columns \['x_pu'\] are missing"):
        read_case(folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("branch.csv", "0.0411,0.6987", "-0.0411,0.6987", r"branch.csv line 2: column 'x_pu' is -0.0411"),
        ("branch.csv", "0.0411,0.6987", "0.0,0.6987", r"line 2: column 'x_pu' is 0.0, expected a number > 0"),
        ("branch.csv", "0.0411,0.6987", "nan,0.6987", r"line 2: column 'x_pu' is nan, expected a finite"),
        ("branch.csv", "0.0411,0.6987", "short,0.6987", r"line 2: column 'x_pu' is short, expected a number"),
        ("branch.csv", "\n1,2,", "\n1,99,", r"line 2: column 'to_bus' is 99, expected a bus of bus.csv"),
        ("branch.csv", "\n1,2,", "\n1,2.5,", r"line 2: column 'to_bus' is 2.5, expected a whole number"),
        ("bus.csv", "\n2,pq", "\n1,pq", r"same bus twice"),
        ("bus.csv", "slack", "pv", r"says 'slack' 0 times"),
        ("bus.csv", "0.0,2.527", "1.0,2.527", r"buses \[1\] generate but have no machine"),
        ("bus.csv", "0.0,2.527", "0.0,-2.527", r"'p_load_pu' is -2.527, expected a finite number >= 0"),
        ("machine.csv", "42.0", "-42.0", r"machine.csv line 2: column 'h_s' is -42.0"),
        ("machine.csv", "\n2,54", "\n2,53", r"at most one machine per bus"),
        ("sites.csv", "gas,53", "gas,30", r"gas at buses \[30\] has no machine"),
        ("sites.csv", "gas,53", "wind,53", r"line 7: column 'kind' is wind, expected one of battery, gas"),
        ("sites.csv", "battery,36", "battery,33", r"a site is named twice"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(
    folder: Path, file: str, old: str, new: str, message: str
):
    edit(folder / file, old, new)
    with pytest.raises(CaseError, match=message):
        read_case(folder)


def test_a_missing_file_is_named(folder: Path):
    (folder / "machine.csv").unlink()
    with pytest.raises(CaseError, match=r"machine.csv: cannot be read"):
        read_case(folder)


def test_a_table_without_rows_is_refused(folder: Path):
    (folder / "sites.csv").write_text("kind,bus\n")
    with pytest.raises(CaseError, match=r"sites.csv: has no rows"):
        read_case(folder)


def test_transfers_that_the_sine_flow_cannot_carry_are_refused(folder: Path):
    for line in ("0.0151,0.2572", "0.0411,0.6987"):
        edit(folder / "branch.csv", line, line.replace("0.0", "9.0", 1))
    edit(folder / "machine.csv", "0.0055", "5.5")
    with pytest.raises(CaseError, match="no angles below 90"):
        case68.system(flow="sine", case=read_case(folder))


def line_of_buses(folder: Path, n_bus: int) -> Path:
    """Write a case with a machine at one end of a line and a battery in its second bus."""
    loads = "".join(f"{bus},pq,0.0,{2.0 / (n_bus - 1)}\n" for bus in range(2, n_bus + 1))
    branches = "".join(f"{bus},{bus + 1},0.1,1.0\n" for bus in range(1, n_bus))
    (folder / "bus.csv").write_text(f"bus,type,p_gen_pu,p_load_pu\n1,slack,2.0,0.0\n{loads}")
    (folder / "branch.csv").write_text(f"from_bus,to_bus,x_pu,tap_ratio\n{branches}")
    (folder / "machine.csv").write_text("bus,mva_base,xd_transient_pu,h_s\n1,100,0.2,5\n")
    (folder / "sites.csv").write_text("kind,bus\nbattery,2\n")
    return folder


@pytest.mark.parametrize("n_bus", [2, 3, 5])
def test_a_case_with_too_few_buses_to_show_five_near_ones_is_refused(tmp_path: Path, n_bus: int):
    folder = str(line_of_buses(tmp_path, n_bus))
    for build in (simulator.make, simulator.agent_names):
        with pytest.raises(CaseError, match=rf"has {n_bus} buses \(bus.csv\), expected at least 6"):
            build("frequency68", case=folder)


def test_six_buses_are_enough(tmp_path: Path):
    grid = family.make_grid("frequency68", 2, 0, case=str(line_of_buses(tmp_path, 6)))
    assert grid.reset(0).observations["battery_2"].shape == (2, 15)
    assert sorted(grid._view.near[0].tolist()) == [0, 2, 3, 4, 5]  # all but its own


@pytest.mark.parametrize(
    "bad",
    [{"demand_mw": 0.0}, {"inertia_factor": -1.0}, {"governor_share": 1.5}, {"flow": "ac"}],
)
def test_system_refuses_an_argument_out_of_range(bad: dict[str, float]):
    with pytest.raises(OptionError, match=next(iter(bad))):
        case68.system(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_tiles", [1, 2, 3])
def test_tiles_make_one_larger_grid(n_tiles: int):
    system = case68.system(demand_mw=3500.0 * n_tiles, case=case68.tiled(n_tiles))
    assert (system.n_bus, system.n_machine) == (68 * n_tiles, 16 * n_tiles)
    assert system.base_mva == pytest.approx(19.195, abs=5e-4)
