"""Rewards of bus voltages (PowerNet, arXiv 2011.12354, section IV), and what counts as a collapse."""

from __future__ import annotations

import numpy as np

from simulator.microgrid.types import Bool, Float

BAND_PU = (0.95, 1.05)  # where voltages should be
SURVIVAL_PU = (0.8, 1.25)  # beyond, the grid has collapsed
BONUS = 0.05  # of a voltage in the band


def voltage_reward(v: Float, collapse_reward: float) -> Float:
    """Return 0.05 - |1 - v| in the band, -|1 - v| outside, collapse_reward beyond survival or where NaN.

    Args:
        v: pu, any shape.
        collapse_reward: what a collapsed bus earns.
    """
    off = np.abs(1.0 - v)
    earned = np.where((v >= BAND_PU[0]) & (v <= BAND_PU[1]), BONUS - off, -off)
    return np.where(survives(v), earned, collapse_reward)


def survives(v: Float) -> Bool:
    """Return where voltages (pu) are within the limits of survival; False where they are NaN."""
    return np.asarray((v >= SURVIVAL_PU[0]) & (v <= SURVIVAL_PU[1]))


def in_band(v: Float) -> Bool:
    """Return where voltages (pu) are in the band."""
    return np.asarray((v >= BAND_PU[0]) & (v <= BAND_PU[1]))


def dg_rewards(v_bus: Float, v_dg: Float, collapse_reward: float) -> Float:
    """Return (E, n_dg): every DG earns what the voltage of its own bus earns.

    Where any bus has collapsed the grid is lost for all, and every DG earns collapse_reward.

    Args:
        v_bus: (E, n_bus) pu.
        v_dg: (E, n_dg) pu, at the buses of the DGs.
        collapse_reward: what a collapse earns.
    """
    earned = voltage_reward(v_dg, collapse_reward)
    earned[~survives(v_bus).all(axis=1)] = collapse_reward
    return earned
