"""Bags: everything that travelled on the bus, in MCAP files, to be looked at, checked and played again."""
