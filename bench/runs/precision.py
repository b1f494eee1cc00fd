"""The arithmetic of a run, chosen in one place: IEEE float32 unless another precision is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hcflow.precision import strict


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Let convolutions and matrix products be IEEE float32, without TF32, unless it is asked for."""
    if precision == "tf32":
        yield
    else:
        with strict():
            yield
