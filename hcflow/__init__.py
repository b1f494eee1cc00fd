"""HCFlow: hierarchical conditional flow for image super-resolution and rescaling (ICCV 2021).

::

    import hcflow
    model = hcflow.load("SR_DF2K_X4_HCFlow++.pth")
    hr = model.decode(lr, temperature=0.9)      # lr: (N, 3, h, w) in [0, 1]
    hr = hcflow.fold(model, "bf16").decode(lr, temperature=0.9, samples=5)      # the same, fast: (N, 5, 3, H, W)
    hr = hcflow.decode_in_tiles(hcflow.fold(model), lr[:1], 0.9)    # one image of any size, in the memory there is

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hcflow.checkpoint import export, info, load, save
    from hcflow.config import Config, preset
    from hcflow.errors import HCFlowError
    from hcflow.folded.decoder import fold
    from hcflow.model import Encoded, HCFlow, bits_per_pixel, quantise
    from hcflow.planning import Plan, plan_decode
    from hcflow.precision import strict
    from hcflow.tiling import decode_in_tiles

__all__ = [
    "Config",
    "Encoded",
    "HCFlow",
    "HCFlowError",
    "Plan",
    "bits_per_pixel",
    "decode_in_tiles",
    "export",
    "fold",
    "info",
    "load",
    "plan_decode",
    "preset",
    "quantise",
    "save",
    "strict",
]

_HOMES = {
    "hcflow.checkpoint": ("export", "info", "load", "save"),
    "hcflow.config": ("Config", "preset"),
    "hcflow.errors": ("HCFlowError",),
    "hcflow.folded.decoder": ("fold",),
    "hcflow.model": ("Encoded", "HCFlow", "bits_per_pixel", "quantise"),
    "hcflow.planning": ("Plan", "plan_decode"),
    "hcflow.precision": ("strict",),
    "hcflow.tiling": ("decode_in_tiles",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
