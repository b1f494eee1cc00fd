"""Checks that read values make the CPU wait for the GPU; a training step goes without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch._guards import active_fake_mode

__all__ = ["checking", "unchecked"]

_checking = ContextVar("checking", default=True)


def checking() -> bool:
    """Whether values are to be looked at: not while compiling or in FakeTensorMode, not inside `unchecked`."""
    return not torch.compiler.is_compiling() and active_fake_mode() is None and _checking.get()


@contextmanager
def unchecked() -> Iterator[None]:
    """Leave out the checks of values (not those of shapes), for callers who look at the results themselves."""
    token = _checking.set(False)
    try:
        yield
    finally:
        _checking.reset(token)
