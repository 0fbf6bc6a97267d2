"""Transmission grids: grid2op environments (power flow by lightsim2grid) as batched grids.

Here grid2op is the simulator, so this family has no `kernel` and no `dynamics`. What it adds:

    options, partition of elements     options.py, clusters.py
    the one place that makes grid2op   environment.py, chronics.py, scenarios.py
    E copies, here or in workers       copies.py, workers.py
    what agents may do                 catalogue.py, continuous.py, masks.py, arbiter.py
    what they see and get              observe.py, reward.py, metrics.py
    all of it as a `Grid`              grid.py, family.py
"""
