"""The one exception that becomes one line on the terminal and exit code 2."""

from __future__ import annotations


class BenchError(ValueError):
    """Bad input: the message says what was expected, what was got and what to do, in one line."""


class StorageError(BenchError):
    """Nothing more can be written: going on would measure what cannot be kept."""
