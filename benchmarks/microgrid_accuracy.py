"""How far each fidelity of the microgrids is from independent full-order trajectories.

python benchmarks/microgrid_accuracy.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from simulator.microgrid import cases, dynamics
from simulator.microgrid.types import Fidelity

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "microgrid"


def errors(name: str, seed: int, fidelity: Fidelity) -> dict[str, float]:
    """Return the largest differences from the reference over all ticks."""
    system = cases.read_system(cases.DATA / name)
    with np.load(GOLDEN / f"{name}_seed{seed}.npz") as file:
        golden = {key: file[key] for key in file.files}
    state = dynamics.init(system, 1)
    worst = dict.fromkeys(("v", "p", "delta", "omega"), 0.0)
    for row in range(len(golden["v_setpoint"])):
        inputs = [golden[key][row : row + 1] for key in ("v_setpoint", "load_r_scale", "load_l_scale")]
        dt_s = 0.05 if row else 0.4
        state = dynamics.step(system, state, *inputs, dt_s, secondary=row > 0, fidelity=fidelity)
        now = {
            "v": dynamics.bus_voltage(system, state)[0] - golden["v_bus_pu"][row],
            "p": (state.p[0] - golden["p_dg_w"][row]) / golden["p_dg_w"][row].mean(),
            "delta": state.delta[0] - golden["delta_rad"][row],
            "omega": state.omega_set[0] - golden["omega_set_rad_s"][row],
        }
        worst = {key: max(worst[key], float(np.abs(value).max())) for key, value in now.items()}
    return worst


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(
        "Largest difference over 21 rows: bus voltages, powers (of the mean), angles, frequency setpoints\n"
    )
    columns = (("v pu", 9), ("P", 9), ("δ rad", 9), ("ω rad/s", 9))
    heads = " ".join(f"{title:>{width}}" for title, width in columns)
    print(f"{'grid':<12} {'seed':>4} {'fidelity':<9} {'step ms':>8} {heads}")
    for name in ("microgrid6", "microgrid20"):
        for fidelity in Fidelity:
            for seed in (11, 12):
                e = errors(name, seed, fidelity)
                print(
                    f"{name:<12} {seed:>4} {fidelity:<9} {1e3 * dynamics.STEP_S[fidelity]:>8.2f} "
                    f"{e['v']:>9.1e} {e['p']:>9.1e} {e['delta']:>9.1e} {e['omega']:>9.1e}"
                )


if __name__ == "__main__":
    main()
