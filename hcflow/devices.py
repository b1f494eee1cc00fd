"""Names of devices, as the command lines take them."""

from __future__ import annotations

import torch

from hcflow.errors import InputError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    Raises:
        InputError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        reason = "" if "device type" in reason or "Invalid device string" in reason else f" ({reason})"
        raise InputError(
            f"expected auto, cpu, cuda[:N] or mps of this machine, got {name!r}{reason}; try --device cpu"
        ) from None
    return device
