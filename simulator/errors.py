"""Errors of the simulator package; each says what, where, got, expected and what to do."""


class SimulatorError(Exception):
    """Base of everything that the simulator package raises on purpose."""


class UnknownGridError(SimulatorError, ValueError):
    """A grid name that no family answers to."""


class OptionError(SimulatorError, ValueError):
    """An option that does not exist, or whose value is outside its range."""


class NoOracleError(OptionError):
    """An oracle that the grid does not have."""


class ActionError(SimulatorError, ValueError):
    """An action of the wrong shape, type or range, or for an agent that does not exist."""


class CaseError(SimulatorError, ValueError):
    """A case file that does not describe a grid: missing columns, isolated buses, impossible values."""


class PartitionError(SimulatorError, ValueError):
    """A partition that cannot be read or does not fit the grid."""
