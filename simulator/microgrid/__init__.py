"""The microgrid family: voltage control of islanded inverter microgrids."""
