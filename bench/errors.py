"""The one exception that becomes one line on the terminal and exit code 2."""

from __future__ import annotations


class BenchError(ValueError):
    """Bad input: the message says what was expected, what was got and what to do, in one line."""


class StorageError(BenchError):
    """Nothing more can be written: going on would measure what cannot be kept."""


def one_line(message: object) -> str:
    """A message of a server, a file or a library as one printable line; its type where it is empty."""
    text = " ".join(str(message).split()) or type(message).__name__
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def in_one_line(error: BaseException) -> str:
    """What went wrong, for a line on the terminal and in a journal; our own errors say it without their type's name."""
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory; use a smaller image, or a machine with more"
    first = str(error).strip().splitlines()[:1]
    text = one_line(first[0] if first else error)
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
