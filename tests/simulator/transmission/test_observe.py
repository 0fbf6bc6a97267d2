"""An agent sees its own cluster and nothing else; features are of order one and named."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.transmission.observe import BOUND, Features
from simulator.transmission.options import Options
from simulator.transmission.reward import Rewards
from simulator.transmission.types import GEN_FIELDS, LINE_FIELDS, LOAD_FIELDS, Layout

ENDS = {f"{quantity}_{end}": f"line_{end}_sub" for quantity in "pqva" for end in ("or", "ex")}


@pytest.fixture(scope="module")
def row(env, system):
    env.reset()
    obs, layout = env.step(env.action_space())[0], Layout(system)
    out = np.zeros((1, layout.width), np.float32)
    for name in layout.fields:
        layout.view(out, name)[0] = getattr(obs, name)
    layout.view(out, "minute_of_day")[:] = 360.0
    return out


def outside(system, clusters, cluster):
    """Return field -> which of its members are at other clusters' substations or on other clusters' lines."""
    away = clusters.sub != cluster
    members = dict.fromkeys(LINE_FIELDS, clusters.line != cluster)
    members |= {field: away[getattr(system, where)] for field, where in ENDS.items()}
    members |= dict.fromkeys(GEN_FIELDS, away[system.gen_sub])
    members |= dict.fromkeys(LOAD_FIELDS, away[system.load_sub])
    members |= {"topo_vect": away[system.topo_sub], "time_before_cooldown_sub": away}
    return members


@pytest.mark.parametrize("cluster", [0, 1])
def test_nothing_leaks_from_outside_the_cluster(system, clusters, row, cluster):
    features, layout, rng = Features(system, clusters, border=False), Layout(system), np.random.default_rng(0)
    own = features.columns(cluster)
    changed = row.copy()
    for name, members in outside(system, clusters, cluster).items():
        view = layout.view(changed, name)
        view[:, members] += 1.0 + rng.random((1, members.sum())).astype(np.float32)
    before, after = features.state(row)[:, own], features.state(changed)[:, own]
    assert (before == after).all()
    assert (features.state(row) != features.state(changed)).any()


@pytest.mark.parametrize("cluster", [0, 1])
def test_everything_inside_the_cluster_is_seen(system, clusters, row, cluster):
    features, layout = Features(system, clusters, border=False), Layout(system)
    own = features.columns(cluster)
    before = features.state(row)[:, own]
    for name, away in outside(system, clusters, cluster).items():
        for member in np.flatnonzero(~away):
            changed = row.copy()
            view = layout.view(changed, name)
            view[0, member] = 2.0 if view[0, member] != 2.0 else 1.0
            assert (features.state(changed)[:, own] != before).sum() == 1, (name, member)


def test_border_adds_the_lines_that_join_clusters_and_only_those(system, clusters, row):
    alone = Features(system, clusters, border=False)
    wide = Features(system, clusters, border=True)
    ends = clusters.sub[system.line_or_sub], clusters.sub[system.line_ex_sub]
    joint = {
        system.lines[i]
        for i in range(system.n_line)
        if {int(clusters.line[i]), int(ends[0][i]), int(ends[1][i])} == {0, 1}
    }
    for cluster in (0, 1):
        extra = set(wide.columns(cluster)) - set(alone.columns(cluster))
        assert extra
        assert {wide.names[i].split(".")[0].removeprefix("line_") for i in extra} <= joint
        shown = {wide.names[i] for i in wide.columns(cluster)}
        assert all(f"line_{line}.rho" in shown and f"line_{line}.extremity.p" in shown for line in joint)


def test_names_are_unique_and_every_feature_belongs_to_somebody(system, clusters):
    features = Features(system, clusters, border=False)
    assert len(set(features.names)) == len(features.names) == len(features.units)
    seen = set(features.columns(0)) | set(features.columns(1))
    assert seen == set(range(len(features.names)))


def test_features_are_of_order_one_and_bounded(system, clusters, row):
    state = Features(system, clusters, border=False).state(row)
    assert state.dtype == np.float32
    assert np.abs(state).max() < 3.0
    wild = np.full_like(row, 1e6)
    assert np.abs(Features(system, clusters, border=False).state(wild)).max() == BOUND


def test_busbars_and_maintenance_and_time_are_encoded_as_documented(system, clusters, row):
    features, layout = Features(system, clusters, border=False), Layout(system)
    rows = np.repeat(row, 3, axis=0)
    layout.view(rows, "topo_vect")[:, 0] = [-1.0, 1.0, 2.0]
    layout.view(rows, "time_next_maintenance")[:, 4] = [-1.0, 0.0, 144.0]
    state = features.state(rows)
    bus = features.names.index(f"{system.topo_names[0]}.bus")
    maintenance = features.names.index(f"line_{system.lines[4]}.maintenance")
    assert state[:, bus].tolist() == [0.0, -1.0, 1.0]
    assert state[:, maintenance].tolist() == [0.0, 1.0, 0.5]
    sin_day, cos_day = (features.names.index(name) for name in ("sin_day", "cos_day"))
    assert state[0, [sin_day, cos_day]] == pytest.approx([1.0, 0.0], abs=1e-6)  # six in the morning


def test_an_overload_may_count_before_the_limit(system, clusters, row):
    rows = row[None]
    rho = Layout(system).view(rows, "rho")
    options = Options(reward_survival=0.0, reward_margin=0.0, reward_overload=2.0, reward_overload_from=0.5)
    reward = Rewards(system, clusters, options, [0]).of(rows, np.array([False]))
    assert rho.max() > 0.5
    assert reward[0, 0] == pytest.approx(-2.0 * np.maximum(rho - 0.5, 0.0).sum(), rel=1e-5)


def test_rewards_are_those_of_the_formula(system, clusters, row):
    layout = Layout(system)
    rows = np.repeat(row, 2, axis=0)
    rho = np.full(system.n_line, 0.5, np.float32)
    rho[3] = 1.4  # in the first cluster
    layout.view(rows, "rho")[:] = rho
    layout.view(rows, "line_status")[:] = 1.0
    layout.view(rows, "line_status")[:, 10] = 0.0  # in the second
    shared = Rewards(system, clusters, Options(), [0, 1]).of(rows, np.array([False, True]))
    assert shared[0] == pytest.approx([0.5 + 0.5 * 18 * 0.75 / 20 - 0.5 * 0.4] * 2, abs=1e-6)
    assert (shared[1] == -10.0).all()
    local = Rewards(system, clusters, Options(reward="local"), [0, 1]).of(rows, np.array([False, True]))
    assert local[0] == pytest.approx([0.5 + 0.5 * 6 * 0.75 / 7 - 0.2, 0.5 + 0.5 * 12 * 0.75 / 13], abs=1e-6)
