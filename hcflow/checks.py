"""Checks of tensors. Those that read values make the CPU wait for the GPU; a training step goes without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch._guards import active_fake_mode

from hcflow.errors import InputError

__all__ = ["check_image", "check_output", "checking", "unchecked"]

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


def check_image(x: Tensor, name: str, multiple: int = 1, shape: Sequence[int] | None = None) -> None:
    """Check a batch of images (N, 3, H, W).

    Raises:
        InputError: not float, not 4-D with 3 channels, empty, sides not divisible by `multiple`, not of
            `shape` where one is given, or with values that are not finite.
    """
    got = tuple(x.shape)
    if shape is not None and got != tuple(shape):
        raise InputError(f"expected {name} of shape {tuple(shape)}, got {got}")
    if not x.is_floating_point():
        raise InputError(f"expected {name} as floats in [0, 1], got {x.dtype}; divide 8-bit values by 255")
    if x.ndim != 4 or got[1] != 3 or min(got) < 1:
        raise InputError(f"expected {name} of shape (N, 3, H, W), none of them 0, got {got}")
    if got[2] % multiple or got[3] % multiple:
        raise InputError(
            f"expected {name} with height and width divisible by {multiple}, got {got[2]}x{got[3]}; "
            "crop it, or pad it and crop what is decoded"
        )
    if checking() and not bool(torch.isfinite(x).all()):
        raise InputError(f"expected {name} with finite values, got NaN or infinity; check what produced it")


def check_output(x: Tensor, what: str) -> None:
    """Check that a network returned finite numbers.

    Args:
        x: what it returned.
        what: the computation, for the message, such as "decoding at temperature 0.9".

    Raises:
        InputError: NaN or infinity.
    """
    if not bool(torch.isfinite(x).all()):
        raise InputError(
            f"expected finite pixels from {what}, got NaN or infinity: the network overflows; "
            "use a lower temperature, or other weights"
        )
