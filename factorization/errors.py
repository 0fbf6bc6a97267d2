"""Errors of the factorization package; each says what, where, got, expected and what to do."""


class FactorizationError(Exception):
    """Base of everything that the factorization package raises on purpose."""


class SampleError(FactorizationError, ValueError):
    """Samples that cannot be used: NaN, infinite, too few, of different lengths, or not readable."""


class SettingError(FactorizationError, ValueError):
    """A setting outside its range, or settings that do not fit together."""


class OutputError(FactorizationError, OSError):
    """A result that cannot be written where it was asked for."""
