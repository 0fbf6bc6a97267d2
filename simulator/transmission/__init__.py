"""The transmission family: grid2op environments as batched grids."""
