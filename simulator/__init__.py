"""Grids as pure batched functions, and the node that puts any of them on the bus."""
